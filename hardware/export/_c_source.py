"""The text of the C header; `hardware.export.c_header` fills in names and numbers."""

from __future__ import annotations

__all__ = ["CHECK", "HEADER"]

HEADER = """\
/* A spiking network in integers: C99, no library, no memory allocation.

   Written by spikelearn. SHA-256 of the description (its JSON form):
   ${digest}
   One step stands for ${dt} ms.

       ${prefix}_state state;
       ${prefix}_reset(&state);
       ${prefix}_step(&state, x);     for every time step, then read state.y

   Step t, with state zero before the first; dec(x, d) = sign(x)*((|x|*(4096-d)) >> 12),
   shift by the exponent e of a block of weights: to the left for e > 0, else floor:

       a = shift(w_in x, e_in) + shift(w_rec s[t-1], e_rec)
       u = wrap24(wrap32(dec(u, du + 1) + (a << 6)))     one turn of 2**24 at most
       v = clip(dec(v, dv) + u + bias - r),  r = s[t-1] * threshold, reset "subtract"
       b = min(dec(b, db) + s[t-1] * beta, 2**23 - 1)
       s = v > threshold + b and not refractory;  v = 0 where s, reset "zero"
       y = clip(dec(y, dv_out) + wrap24(wrap32(shift(w_out s, e_out) << 6)) + bias_out)

   and y = 0 where y > 131071 << 6. Includes in two source files are two copies. */
#ifndef ${PREFIX}_H
#define ${PREFIX}_H

#include <stdint.h>

#define ${PREFIX}_N_IN ${n_in}
#define ${PREFIX}_N_REC ${n_rec}
#define ${PREFIX}_N_OUT ${n_out}
#define ${PREFIX}_INPUT_MAX ${input_max}
#define ${PREFIX}_EXPONENT_IN (${exponent_in})
#define ${PREFIX}_EXPONENT_REC (${exponent_rec})
#define ${PREFIX}_EXPONENT_OUT (${exponent_out})
#define ${PREFIX}_SUBTRACT ${subtract}
#define ${PREFIX}_STATE_MAX 8388607
#define ${PREFIX}_READOUT_MAX 8388544

/* Weights are [post][pre]; bias, threshold and beta are shifted already. */
${arrays}
typedef struct {
    int32_t u[${PREFIX}_N_REC];          /* synaptic current */
    int32_t v[${PREFIX}_N_REC];          /* membrane, after the reset */
    int32_t b[${PREFIX}_N_REC];          /* adaptation of the threshold */
    int32_t silent[${PREFIX}_N_REC];     /* refractory steps that are left */
    uint8_t spikes[${PREFIX}_N_REC];     /* 1 where a neuron fired in this step */
    int32_t y[${PREFIX}_N_OUT];          /* readout */
} ${prefix}_state;

/* The low 32 bits as a signed number. */
static inline int64_t ${prefix}_wrap32(int64_t value)
{
    const uint32_t low = (uint32_t)value;
    return low < 2147483648u ? (int64_t)low : (int64_t)low - INT64_C(4294967296);
}

/* One turn of 2**24 at most, into (-2**23, 2**23]. */
static inline int64_t ${prefix}_wrap24(int64_t value)
{
    if (value > 8388608) return value - 16777216;
    if (value <= -8388608) return value + 16777216;
    return value;
}

/* A leak that rounds towards zero. */
static inline int64_t ${prefix}_decay(int64_t value, int32_t factor)
{
    const int64_t size = value < 0 ? -value : value;
    const int64_t kept = (size * (4096 - factor)) >> 12;
    return value < 0 ? -kept : kept;
}

/* The sum of a block in 32 bits, times 2**exponent (below 0: floor). */
static inline int64_t ${prefix}_shift(int64_t sum, int exponent)
{
    const int64_t value = ${prefix}_wrap32(sum);
    const int64_t factor = INT64_C(1) << (exponent < 0 ? -exponent : exponent);
    if (exponent >= 0) return value * factor;
    return value >= 0 ? value / factor : -((-value + factor - 1) / factor);
}

static inline int64_t ${prefix}_clip(int64_t value)
{
    if (value > ${PREFIX}_STATE_MAX) return ${PREFIX}_STATE_MAX;
    if (value < -${PREFIX}_STATE_MAX) return -${PREFIX}_STATE_MAX;
    return value;
}

/* Set the state to zero, as before the first step. */
static inline void ${prefix}_reset(${prefix}_state *state)
{
    int j;
    for (j = 0; j < ${PREFIX}_N_REC; j++) {
        state->u[j] = state->v[j] = state->b[j] = state->silent[j] = 0;
        state->spikes[j] = 0;
    }
    for (j = 0; j < ${PREFIX}_N_OUT; j++) state->y[j] = 0;
}

/* Do one step on ${PREFIX}_N_IN inputs 0..${PREFIX}_INPUT_MAX; return the number of
   spikes, or -1 (and change nothing) if an input is out of range. */
static inline int ${prefix}_step(${prefix}_state *state, const int32_t *x)
{
    int j, k, n_spikes = 0;
    for (k = 0; k < ${PREFIX}_N_IN; k++)
        if (x[k] < 0 || x[k] > ${PREFIX}_INPUT_MAX) return -1;
    for (j = 0; j < ${PREFIX}_N_REC; j++) {
        int64_t in = 0, rec = 0, total;
        for (k = 0; k < ${PREFIX}_N_IN; k++)
            if (x[k]) in += (int64_t)x[k] * ${prefix}_w_in[j][k];
        for (k = 0; k < ${PREFIX}_N_REC; k++)
            if (state->spikes[k]) rec += ${prefix}_w_rec[j][k];
        total = ${prefix}_shift(in, ${PREFIX}_EXPONENT_IN)
              + ${prefix}_shift(rec, ${PREFIX}_EXPONENT_REC);
        total = ${prefix}_decay(state->u[j], ${prefix}_du[j] + 1) + total * 64;
        state->u[j] = (int32_t)${prefix}_wrap24(${prefix}_wrap32(total));
    }
    for (j = 0; j < ${PREFIX}_N_REC; j++) {
        const int fired = state->spikes[j];
        int64_t v = ${prefix}_decay(state->v[j], ${prefix}_dv[j]);
        int64_t b = ${prefix}_decay(state->b[j], ${prefix}_db[j]);
        v += (int64_t)state->u[j] + ${prefix}_bias[j];
        if (${PREFIX}_SUBTRACT && fired) v -= ${prefix}_threshold[j];
        if (fired) b += ${prefix}_beta[j];
        v = ${prefix}_clip(v);
        b = ${prefix}_clip(b);
        state->spikes[j] = v > ${prefix}_threshold[j] + b && state->silent[j] == 0;
        if (state->silent[j] > 0) state->silent[j]--;
        if (state->spikes[j]) {
            n_spikes++;
            state->silent[j] = ${prefix}_refractory[j];
            if (!${PREFIX}_SUBTRACT) v = 0;
        }
        state->v[j] = (int32_t)v;
        state->b[j] = (int32_t)b;
    }
    for (j = 0; j < ${PREFIX}_N_OUT; j++) {
        int64_t out = 0, y;
        for (k = 0; k < ${PREFIX}_N_REC; k++)
            if (state->spikes[k]) out += ${prefix}_w_out[j][k];
        out = ${prefix}_wrap32(${prefix}_shift(out, ${PREFIX}_EXPONENT_OUT) * 64);
        y = ${prefix}_decay(state->y[j], ${prefix}_out_dv[j]) + ${prefix}_wrap24(out);
        y = ${prefix}_clip(y + ${prefix}_out_bias[j]);
        state->y[j] = (int32_t)(y > ${PREFIX}_READOUT_MAX ? 0 : y);
    }
    return n_spikes;
}
${check}
#endif
"""

CHECK = """
#ifdef ${PREFIX}_MAIN
/* cc -std=c99 -x c -D${PREFIX}_MAIN -o check THIS_FILE && ./check */
#include <stdio.h>

#define ${PREFIX}_SAMPLES ${samples}
#define ${PREFIX}_STEPS ${steps}

/* Inputs, and the states that they must lead to: [sample][step][unit]. */
${vectors}
int main(void)
{
    static ${prefix}_state state;
    long different = 0, values = 0;
    int n, t, j;
    for (n = 0; n < ${PREFIX}_SAMPLES; n++) {
        ${prefix}_reset(&state);
        for (t = 0; t < ${PREFIX}_STEPS; t++) {
            if (${prefix}_step(&state, ${prefix}_vector_x[n][t]) < 0) different++;
            for (j = 0; j < ${PREFIX}_N_REC; j++) {
                different += state.u[j] != ${prefix}_vector_u[n][t][j];
                different += state.v[j] != ${prefix}_vector_v[n][t][j];
                different += state.b[j] != ${prefix}_vector_b[n][t][j];
                different += state.spikes[j] != ${prefix}_vector_spikes[n][t][j];
                values += 4;
            }
            for (j = 0; j < ${PREFIX}_N_OUT; j++) {
                different += state.y[j] != ${prefix}_vector_y[n][t][j];
                values++;
            }
        }
    }
    printf("%ld of %ld values differ\\n", different, values);
    return different != 0;
}
#endif
"""
