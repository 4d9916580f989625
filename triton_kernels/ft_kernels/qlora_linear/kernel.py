"""The fused kernels: a 4-bit weight is decoded on its way to the tensor cores, and the LoRA part starts the sum.

One launch takes one to three projections that share x; a missing third one has N2 = 0. Sizes come in units that keep
strides provably aligned: KB = K / 64, N0 to N2 and R in 16s. `launch.py` calls them and knows their preconditions.
Numbers of blocks are int32, offsets into matrices int64. README.md tells what shapes the loops.
"""

import triton
import triton.language as tl

from ft_kernels.nf4 import block_scale, lane_table, shuffled_nf4_values, swizzle

RUNTIME = ["M", "KB", "N0", "N1", "N2", "R", "shift", "projections", "biases"]
"""Integers that are never compiled in: one compiled kernel serves every shape, rank and block size.

`shift` is log2 of a quantization block in chunks of 64, `projections` how many there are, `biases` a bit for each that
has one.
"""


@triton.jit  # type: ignore[untyped-decorator]
def pick(segment, first, second, third, SEGMENTS: tl.constexpr):  # type: ignore[no-untyped-def]
    """What belongs to this projection."""
    if SEGMENTS == 1:
        return first
    else:
        return tl.where(segment == 0, first, tl.where(segment == 1, second, third))


@triton.jit  # type: ignore[untyped-decorator]
def pick_scales(  # type: ignore[no-untyped-def]
    segment, first, second, third, NESTED: tl.constexpr, SEGMENTS: tl.constexpr
):
    """What `block_scale` takes of this projection, out of three tuples (absmax, nested_code, nested_absmax, offset)."""
    absmax = pick(segment, first[0], second[0], third[0], SEGMENTS)
    if NESTED:
        nested_code = pick(segment, first[1], second[1], third[1], SEGMENTS)
        nested_absmax = pick(segment, first[2], second[2], third[2], SEGMENTS)
        return absmax, nested_code, nested_absmax, pick(segment, first[3], second[3], third[3], SEGMENTS)
    else:
        return absmax, None, None, None


@triton.jit
def row_major(acc):  # type: ignore[no-untyped-def]
    """acc, in a layout that stores 16 bytes at a time: CDNA's matrix instructions leave a thread 8 in a row.

    A sum over one element moves no value, and lets Triton choose the layout anew.
    """
    return tl.sum(acc[:, :, None], axis=2)


@triton.jit(do_not_specialize=RUNTIME)  # type: ignore[untyped-decorator]
def forward(  # type: ignore[no-untyped-def]
    x, xa, lora_a, code,
    w0, absmax0, nested_code0, nested_absmax0, offset0, lora_b0, bias0, y0, N0, scale0,
    w1, absmax1, nested_code1, nested_absmax1, offset1, lora_b1, bias1, y1, N1, scale1,
    w2, absmax2, nested_code2, nested_absmax2, offset2, lora_b2, bias2, y2, N2, scale2,
    M, KB, R, shift, projections, biases,
    BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr,
    NESTED: tl.constexpr, SEGMENTS: tl.constexpr, MAKES_XA: tl.constexpr, GROUP: tl.constexpr, ACC: tl.constexpr,
):  # fmt: skip
    """y_i[M, N_i] = x[M, K] dequant(w_i)[N_i, K]^T + scale_i xa_i[M, R] lora_b_i[N_i, R]^T + bias_i; one i a tile.

    MAKES_XA: xa = x lora_a^T, of one projection and 16 ranks, is summed here and written, and its term comes last.
    """
    tl.static_assert(BK == 64, "a turn takes one chunk, and so one scale a row")
    tiles0, tiles1, tiles2 = tl.cdiv(N0 * 16, BN), tl.cdiv(N1 * 16, BN), tl.cdiv(N2 * 16, BN)
    tiles_N = tiles0 if SEGMENTS == 1 else tiles0 + tiles1 + tiles2
    tile_M, tile_N = swizzle(tl.program_id(0), tl.cdiv(M, BM), tiles_N, GROUP)
    segment = (tile_N >= tiles0).to(tl.int32) + (tile_N >= tiles0 + tiles1).to(tl.int32)
    tile_N -= pick(segment, 0, tiles0, tiles0 + tiles1, SEGMENTS)
    w = pick(segment, w0, w1, w2, SEGMENTS)
    absmax, nested_code, nested_absmax, offset = pick_scales(
        segment, (absmax0, nested_code0, nested_absmax0, offset0), (absmax1, nested_code1, nested_absmax1, offset1),
        (absmax2, nested_code2, nested_absmax2, offset2), NESTED, SEGMENTS)
    lora_b = pick(segment, lora_b0, lora_b1, lora_b2, SEGMENTS)
    bias = pick(segment, bias0, bias1, bias2, SEGMENTS)
    y = pick(segment, y0, y1, y2, SEGMENTS)
    N = pick(segment, N0, N1, N2, SEGMENTS) * 16

    rows_M, rows_N = tile_M * BM + tl.arange(0, BM), tile_N * BN + tl.arange(0, BN)
    # Rows beyond the edge read the last one and are not stored.
    from_M, from_N = tl.minimum(rows_M, M - 1).to(tl.int64)[:, None], tl.minimum(rows_N, N - 1).to(tl.int64)[:, None]

    acc = tl.zeros((BM, BN), ACC)
    scale = pick(segment, scale0, scale1, scale2, SEGMENTS)
    rank = tl.arange(0, 16)
    xa_at = xa + from_M * (projections * R * 16) + (segment * R * 16 + rank)[None, :]
    lora_b_at = lora_b + from_N * (R * 16) + rank[None, :]
    if MAKES_XA:
        narrow = tl.zeros((BM, 16), ACC)
        lora_a_at = lora_a + rank[:, None] * (KB * 64)
    else:
        for _ in tl.range(0, R, num_stages=1):
            acc = tl.dot(tl.load(xa_at), tl.trans(tl.load(lora_b_at)), acc, input_precision="ieee", out_dtype=ACC)
            xa_at += 16
            lora_b_at += 16
        acc *= scale

    values = lane_table(code)
    x_at, w_at = x + from_M * (KB * 64), w + from_N * (KB * 8)
    # Offsets of their own, and not the loop's counter, which LLVM would widen to 64 bits.
    element, word = tl.arange(0, BK)[None, :], tl.arange(0, BK // 8)[None, :]
    chunk = from_N.to(tl.int32) * KB
    last_chunk = chunk + (KB - 1)
    step = block_scale(chunk >> shift, absmax, nested_code, nested_absmax, offset, NESTED)
    for _ in range(0, KB):
        x_t, packed = tl.load(x_at + element), tl.load(w_at + word)
        if MAKES_XA:
            # Before the decoding: behind it, sm_90 waits after each of its products.
            a_t = tl.load(lora_a_at + element)
            narrow = tl.dot(x_t, tl.trans(a_t), narrow, input_precision="ieee", out_dtype=ACC)
        # The scales of the next turn, on their way while this one decodes.
        chunk = tl.minimum(chunk + 1, last_chunk)
        next_step = block_scale(chunk >> shift, absmax, nested_code, nested_absmax, offset, NESTED)
        w_t = (shuffled_nf4_values(packed, values) * step).to(x.dtype.element_ty)
        acc = tl.dot(x_t, tl.trans(w_t), acc, input_precision="ieee", out_dtype=ACC)
        element += BK
        word += BK // 8
        step = next_step

    if MAKES_XA:
        # All programs of a row of tiles have the same xa, rounded as if it had been written and read; one writes it.
        rounded = narrow.to(x.dtype.element_ty)
        tl.store(xa_at, rounded, mask=rows_M[:, None] < tl.where(tile_N == 0, M, 0))
        acc += scale * tl.dot(rounded, tl.trans(tl.load(lora_b_at)), input_precision="ieee", out_dtype=ACC)

    end = N * ((biases >> segment) & 1)
    acc += tl.load(bias + rows_N, mask=rows_N < end, other=0).to(ACC)[None, :]
    y_at = y + rows_M.to(tl.int64)[:, None] * N + rows_N[None, :]
    tl.store(y_at, row_major(acc).to(y.dtype.element_ty), mask=(rows_M[:, None] < M) & (rows_N[None, :] < N))


@triton.jit(do_not_specialize=RUNTIME)  # type: ignore[untyped-decorator]
def backward_dx(  # type: ignore[no-untyped-def]
    dx, dyb, code,
    dy0, w0, absmax0, nested_code0, nested_absmax0, offset0, lora_a0, N0, scale0,
    dy1, w1, absmax1, nested_code1, nested_absmax1, offset1, lora_a1, N1, scale1,
    dy2, w2, absmax2, nested_code2, nested_absmax2, offset2, lora_a2, N2, scale2,
    M, KB, R, shift, projections,
    BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr,
    NESTED: tl.constexpr, SEGMENTS: tl.constexpr, GROUP: tl.constexpr, ACC: tl.constexpr,
):  # fmt: skip
    """dx[M, K] = sum over i of dy_i[M, N_i] dequant(w_i)[N_i, K] + scale_i dyb_i[M, R] lora_a_i[R, K]."""
    CHUNKS: tl.constexpr = BK // 64
    tile_M, tile_K = swizzle(tl.program_id(0), tl.cdiv(M, BM), tl.cdiv(KB, CHUNKS), GROUP)
    rows_M, columns_K = tile_M * BM + tl.arange(0, BM), tile_K * BK + tl.arange(0, BK)
    from_M = tl.minimum(rows_M, M - 1).to(tl.int64)[:, None]
    is_in_K = columns_K[None, :] < KB * 64
    # Chunks beyond the edge read the last one and are not stored.
    chunk = tl.minimum(tile_K * CHUNKS + tl.arange(0, CHUNKS), KB - 1)[None, :]
    word = tl.arange(0, BK // 8)[None, :]
    chunk_of_word = tl.minimum(tile_K * CHUNKS + word // 8, KB - 1)
    values = lane_table(code)

    acc = tl.zeros((BM, BK), ACC)
    for segment in tl.static_range(SEGMENTS):
        dy = pick(segment, dy0, dy1, dy2, SEGMENTS)
        w = pick(segment, w0, w1, w2, SEGMENTS)
        absmax, nested_code, nested_absmax, offset = pick_scales(
            segment, (absmax0, nested_code0, nested_absmax0, offset0), (absmax1, nested_code1, nested_absmax1, offset1),
            (absmax2, nested_code2, nested_absmax2, offset2), NESTED, SEGMENTS)
        lora_a = pick(segment, lora_a0, lora_a1, lora_a2, SEGMENTS)
        N = pick(segment, N0, N1, N2, SEGMENTS) * 16

        lora = tl.zeros((BM, BK), ACC)
        rank = tl.arange(0, 16)
        dyb_at = dyb + from_M * (projections * R * 16) + (segment * R * 16 + rank)[None, :]
        lora_a_at = lora_a + rank[:, None] * (KB * 64) + columns_K[None, :]
        for _ in tl.range(0, tl.where(N > 0, R, 0), num_stages=1):
            lora_a_t = tl.load(lora_a_at, mask=is_in_K, other=0)
            lora = tl.dot(tl.load(dyb_at), lora_a_t, lora, input_precision="ieee", out_dtype=ACC)
            dyb_at += 16
            lora_a_at += KB * (64 * 16)
        acc += lora * pick(segment, scale0, scale1, scale2, SEGMENTS)

        dy_at = dy + from_M * N
        column = tl.arange(0, BN)[None, :]
        # A projection without rows still reads one scale, its first.
        row = tl.minimum(tl.arange(0, BN), tl.maximum(N, 1) - 1)[:, None]
        step = block_scale((row * KB + chunk) >> shift, absmax, nested_code, nested_absmax, offset, NESTED)
        for _ in range(0, N, BN):
            dy_t = tl.load(dy_at + column, mask=column < N, other=0)
            # Offsets by way of the chunk's number: one 32-bit product serves the words and their scales.
            w_at = (row * KB + chunk_of_word).to(tl.int64) * 8 + word % 8
            packed = tl.load(w + tl.max_contiguous(tl.multiple_of(w_at, (1, 8)), (1, 8)))
            row = tl.minimum(row + BN, N - 1)
            next_step = block_scale((row * KB + chunk) >> shift, absmax, nested_code, nested_absmax, offset, NESTED)
            value = tl.reshape(shuffled_nf4_values(packed, values), (BN, CHUNKS, 64)) * step[:, :, None]
            w_t = tl.reshape(value, (BN, BK)).to(dy.dtype.element_ty)
            acc = tl.dot(dy_t, w_t, acc, input_precision="ieee", out_dtype=ACC)
            column += BN
            step = next_step
    dx_at = dx + rows_M.to(tl.int64)[:, None] * (KB * 64) + columns_K[None, :]
    tl.store(dx_at, row_major(acc).to(dx.dtype.element_ty), mask=(rows_M[:, None] < M) & is_in_K)
