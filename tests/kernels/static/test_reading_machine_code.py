"""Reading listings: instructions, loops, widths, occupancy, on texts small enough to count by hand."""

from __future__ import annotations

import pytest

from accesses import widths_in_llvm, widths_in_ptx
from gcn import metadata, parse_gcn
from instructions import Instruction, always_executed, hot_loop, loops_of
from measure import counts_of, figures
from occupancy import occupancy_of
from sass import functions_of, parse_sass

SASS = """
        /*0000*/                   LDG.E.128 R4, [R2.64] ;        /* 0x01 */
        /*0010*/                   MOV R1, R2 ;
        /*0020*/                   LDSM.16.M88.4 R8, [R1] ;
        /*0030*/                   HMMA.16816.F32.BF16 R4, R8, R4, R4 ;
        /*0040*/              @!P1 BRA 0x90 ;
        /*0050*/                   LDGSTS.E.BYPASS.64 [R1], [R2.64] ;
        /*0060*/               @P0 BRA 0x20 ;
        /*0070*/                   STG.E.U16 [R2.64], R4 ;
        /*0080*/                   EXIT ;
        /*0090*/               @P2 BRA 0x90 ;
        /*00a0*/                   BRA 0x50 ;
        /*00b0*/                   BRA 0xb0;
        /*00c0*/                   NOP;
"""
GCN = """
\ts_branch .LBB0_0
.LBB0_0:
\tglobal_load_dwordx4 v[0:3], v[4:5], off
.LBB0_1:                                ; =>This Inner Loop Header
\tv_mfma_f32_32x32x8_bf16 v[0:15], v[0:1], v[2:3], v[0:15]
\tscratch_load_dword v1, off, off
\tv_fma_f32 v1, v2, v3, v4
\ts_cbranch_scc1 .LBB0_1
\ts_cbranch_execz .LBB0_2
\tbuffer_store_short v1, v2, s[0:3], 0 offen
.LBB0_2:
\ts_endpgm
.Lfunc_end0:
\ts_endpgm
    .vgpr_count:     38
"""


def test_the_hot_loop_holds_its_out_of_line_wait_and_not_what_follows() -> None:
    code = parse_sass(SASS)
    loops = loops_of(code)
    at = hot_loop(code, loops)
    assert at == (2, 3, 4, 5, 6, 9, 10)
    assert sorted(map(len, loops)) == [1, 7]  # the wait is a loop of its own; code that nothing reaches is none
    counts = counts_of([code[index] for index in at])
    assert (counts.instructions, counts.tensor_core, counts.others_per_mma) == (7, {"HMMA": 1}, 6.0)
    assert (counts.loads, counts.stores, counts.matrix_loads) == ({64: 1}, {}, 1)


def test_of_nested_loops_the_inner_one_is_hot_and_of_two_the_longer() -> None:
    mma, plain = Instruction("HMMA", "tensor core"), Instruction("MOV")
    first = [plain, mma, Instruction("BRA", jump=1)]
    second = [mma, plain, plain, Instruction("BRA", jump=3)]
    code = [*first, *second, Instruction("BRA", jump=0), Instruction("EXIT", falls_through=False)]
    assert hot_loop(code, loops_of(code)) == (3, 4, 5, 6)


def test_code_without_loops_has_no_hot_one() -> None:
    assert loops_of(parse_sass("/*0000*/ EXIT ;")) == [] == loops_of([])


def test_whole_functions_are_told_apart() -> None:
    listing = "\t\tFunction : one\n /*0000*/ EXIT ;\n\t\tFunction : two\n /*0000*/ STG.E [R2], R1 ;\n"
    assert [(name, len(parse_sass(text))) for name, text in functions_of(listing)] == [("one", 1), ("two", 1)]


def test_amd_assembly_is_read_alike() -> None:
    code = parse_gcn(GCN)
    at = hot_loop(code, loops_of(code))
    assert at is not None
    loop, whole = counts_of([code[index] for index in at]), counts_of(code)
    assert (loop.instructions, loop.tensor_core, loop.local, loop.multiply_adds) == (
        4, {"v_mfma_f32_32x32x8_bf16": 1}, 1, 1)
    assert (whole.instructions, whole.loads, whole.stores) == (9, {128: 1}, {16: 1})
    assert (metadata(GCN, "vgpr_count"), metadata(GCN, "no_such")) == (38, 0)


def test_instructions_an_element_count_what_is_stored() -> None:
    code = parse_sass("/*0000*/ IADD R1, R2, R3 ; /*0010*/ STG.E.128 [R2], R4 ; /*0020*/ EXIT ;")
    assert figures(code, element_bits=16)["per_element"] == pytest.approx(3 / 8, abs=0.01)
    assert figures(code, element_bits=32)["per_element"] == 3 / 4


def test_the_end_of_a_tensor_does_not_count_for_each_element_but_a_masked_store_does() -> None:
    wide, narrow, end = "STG.E.128 [R2], R4", "STG.E.U16 [R2], R4", "EXIT"
    def per_element(*lines: str) -> object:
        return figures(parse_sass("\n".join(f"/*{16 * at:04x}*/ {line} ;" for at, line in enumerate(lines))),
                       element_bits=16)["per_element"]
    assert per_element(wide, "@P0 BRA 0x40", "MOV R1, R2", narrow, end) == pytest.approx(3 / 8, abs=0.01)
    assert per_element(wide, "@P0 EXIT", "MOV R1, R2", wide, end) == pytest.approx(5 / 16, abs=0.01)


def test_jumping_over_a_masked_store_is_no_branch_on_amd() -> None:
    code = parse_gcn("\ts_cbranch_execz .LBB0_1\n\tglobal_store_dwordx4 v1, v2, s[0:1]\n.LBB0_1:\n\ts_endpgm\n.Lfunc_end0:")
    assert always_executed(code) == {0, 1, 2}


def test_what_a_branch_alone_does_does_not_count_for_an_argument() -> None:
    ptx = """
        ld.param.b64 %rd1, [k_param_0];
        ld.global.v4.b32 { %r1, %r2, %r3, %r4 }, [ %rd1 + 0 ];
        @%p1 bra $L__BB0_2;
        ld.global.b32 { %r5 }, [ %rd1 + 0 ];
$L__BB0_2:
        ret;
    """
    assert widths_in_ptx(ptx, ["x"]) == {"x": {"load": [128], "store": []}}
    text = """
define amdgpu_kernel void @k(ptr addrspace(1) %0, i32 %1) #0 {
  %2 = tail call i32 @llvm.amdgcn.workitem.id.x()
  %3 = icmp slt i32 %2, %1
  br i1 %3, label %4, label %6
4:
  %5 = load <4 x i32>, ptr addrspace(1) %0, align 16
  br label %6
6:
  %7 = icmp slt i32 %1, 7
  br i1 %7, label %8, label %10
8:
  %9 = load i32, ptr addrspace(1) %0, align 4
  br label %10
10:
  ret void
}
"""
    assert widths_in_llvm(text, ["x", "M"]) == {"x": {"load": [128], "store": []}}


def test_widths_are_followed_back_to_arguments() -> None:
    ptx = """
        ld.param.b64    %rd1, [kernel_param_0];
        ld.param.b64    %rd2, [kernel_param_2];
        ld.param.b64    %rd9, [kernel_param_3];
        mad.wide.s32    %rd3, %r1, 2, %rd1;
        selp.b64        %rd4, %rd3, %rd2, %p1;
        @%p1 ld.global.v4.b32 { %r1, %r2, %r3, %r4 }, [ %rd3 + 0 ];
        cp.async.ca.shared.global [ %r5 + 0 ], [ %rd4 + 0 ], 0x8, %r6;
        @%p1 st.global.b16 [ %rd9 + 0 ], { %rs1 };
    """
    assert widths_in_ptx(ptx, ["x", "M", "w"]) == {
        "x": {"load": [128, 64], "store": []}, "w": {"load": [64], "store": []},
        "compiler": {"load": [], "store": [16]},
    }


def test_a_pointer_picked_by_its_place_among_the_parameters_is_all_that_it_can_be() -> None:
    ptx = """
        mov.b32         %r1, k_param_1;
        mov.b32         %r2, k_param_0;
        selp.b32        %r3, %r2, %r1, %p4;
        ld.param.b64    %rd1, [%r3];
        ld.global.v2.b32 { %r4, %r5 }, [ %rd1 + 0 ];
    """
    assert widths_in_ptx(ptx, ["w0", "w1"]) == {name: {"load": [64], "store": []} for name in ("w0", "w1")}


def test_widths_in_llvm_too() -> None:
    text = """
define amdgpu_kernel void @k(ptr addrspace(1) inreg readonly captures(none) %0, i32 %1, ptr addrspace(1) %2) #0 {
  %3 = getelementptr bfloat, ptr addrspace(1) %0, i64 %8
  %4 = load <8 x bfloat>, ptr addrspace(1) %3, align 16, !dbg !4
  %5 = tail call ptr addrspace(8) @llvm.amdgcn.make.buffer.rsrc.p8.p1(ptr addrspace(1) %2, i16 0, i64 9, i32 1)
  tail call void @llvm.amdgcn.raw.ptr.buffer.store.v2i32(<2 x i32> %6, ptr addrspace(8) %5, i32 0, i32 0, i32 0)
"""
    assert widths_in_llvm(text, ["x", "M", "y"]) == {
        "x": {"load": [128], "store": []}, "y": {"load": [], "store": [64]}}


@pytest.mark.parametrize(("target", "registers", "warps", "shared", "expected"), [
    ("sm_80", 40, 4, 2048, (12, 75.0, "registers")),
    ("sm_90", 128, 8, 54784, (2, 25.0, "registers")),
    ("sm_86", 40, 4, 60 << 10, (1, 8.3, "shared memory")),
    ("sm_80", 255, 16, 0, (0, 0.0, "registers")),
    ("sm_86", 32, 4, 100 << 10, (0, 0.0, "shared memory")),
    ("sm_90", 50, 8, 0, (4, 50.0, "registers")),
    ("gfx942", 158, 8, 32768, (1, 25.0, "registers")),
])
def test_occupancy(target: str, registers: int, warps: int, shared: int, expected: tuple[int, float, str]) -> None:
    got = occupancy_of(target, registers=registers, warps=warps, shared_bytes=shared)
    assert (got.blocks, got.percent, got.limiter) == expected
