"""The command line with the toy study: python -m tests.studies.driver study toy."""

if __name__ == "__main__":  # workers import this file, too
    from spikelearn.studies import STUDIES
    from tests.studies.toy import make_toy

    STUDIES["toy"] = make_toy
    from spikelearn.cli import main

    main()
