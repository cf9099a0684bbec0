#include "textflag.h"

// Registers in the tiles:
//	DI  panel, 16 bytes per step          SI  row 0 of x; rows 1 and 2 at SI+R8, SI+2*R8
//	CX  steps left                        R10 row 3 of x; rows 4 and 5 at R10+R8, R10+2*R8
//	Y0 … Y11  sums, two per row           Y12, Y13  weights; later scales
//	Y14, Y15  values of x; later bias

// WEIGHTS widens 16 int8 to float32.
#define WEIGHTS \
	VPMOVSXBD (DI), Y12   \
	VPMOVSXBD 8(DI), Y13  \
	VCVTDQ2PS Y12, Y12    \
	VCVTDQ2PS Y13, Y13

// ROWS2 adds one value of two rows times the weights.
#define ROWS2(a, b, a0, a1, b0, b1) \
	VBROADCASTSS a, Y14         \
	VBROADCASTSS b, Y15         \
	VFMADD231PS  Y12, Y14, a0   \
	VFMADD231PS  Y13, Y14, a1   \
	VFMADD231PS  Y12, Y15, b0   \
	VFMADD231PS  Y13, Y15, b1

// SCALE multiplies one row's sums by the scales and adds the bias.
#define SCALE(lo, hi) \
	VFMADD213PS Y14, Y12, lo \
	VFMADD213PS Y15, Y13, hi

// STORE writes one row to dst and moves on to the next.
#define STORE(lo, hi) \
	VMOVUPS lo, (BX)     \
	VMOVUPS hi, 32(BX)   \
	ADDQ    R9, BX

// func tile6(dst, x *float32, panel *byte, scales, bias *float32, n, xStride, dstStride int)
TEXT ·tile6(SB), NOSPLIT, $0-64
	MOVQ dst+0(FP), BX
	MOVQ x+8(FP), SI
	MOVQ panel+16(FP), DI
	MOVQ scales+24(FP), R11
	MOVQ bias+32(FP), R12
	MOVQ n+40(FP), CX
	MOVQ xStride+48(FP), R8
	MOVQ dstStride+56(FP), R9
	LEAQ (SI)(R8*2), R10
	ADDQ R8, R10

	VXORPS Y0, Y0, Y0
	VXORPS Y1, Y1, Y1
	VXORPS Y2, Y2, Y2
	VXORPS Y3, Y3, Y3
	VXORPS Y4, Y4, Y4
	VXORPS Y5, Y5, Y5
	VXORPS Y6, Y6, Y6
	VXORPS Y7, Y7, Y7
	VXORPS Y8, Y8, Y8
	VXORPS Y9, Y9, Y9
	VXORPS Y10, Y10, Y10
	VXORPS Y11, Y11, Y11

step6:
	WEIGHTS
	ROWS2((SI), (SI)(R8*1), Y0, Y1, Y2, Y3)
	ROWS2((SI)(R8*2), (R10), Y4, Y5, Y6, Y7)
	ROWS2((R10)(R8*1), (R10)(R8*2), Y8, Y9, Y10, Y11)
	ADDQ $16, DI
	ADDQ $4, SI
	ADDQ $4, R10
	DECQ CX
	JNZ  step6

	VMOVUPS (R11), Y12
	VMOVUPS 32(R11), Y13
	VMOVUPS (R12), Y14
	VMOVUPS 32(R12), Y15
	SCALE(Y0, Y1)
	SCALE(Y2, Y3)
	SCALE(Y4, Y5)
	SCALE(Y6, Y7)
	SCALE(Y8, Y9)
	SCALE(Y10, Y11)
	STORE(Y0, Y1)
	STORE(Y2, Y3)
	STORE(Y4, Y5)
	STORE(Y6, Y7)
	STORE(Y8, Y9)
	STORE(Y10, Y11)
	VZEROUPPER
	RET

// func tile4(dst, x *float32, panel *byte, scales, bias *float32, n, xStride, dstStride int)
TEXT ·tile4(SB), NOSPLIT, $0-64
	MOVQ dst+0(FP), BX
	MOVQ x+8(FP), SI
	MOVQ panel+16(FP), DI
	MOVQ scales+24(FP), R11
	MOVQ bias+32(FP), R12
	MOVQ n+40(FP), CX
	MOVQ xStride+48(FP), R8
	MOVQ dstStride+56(FP), R9
	LEAQ (SI)(R8*2), R10
	ADDQ R8, R10

	VXORPS Y0, Y0, Y0
	VXORPS Y1, Y1, Y1
	VXORPS Y2, Y2, Y2
	VXORPS Y3, Y3, Y3
	VXORPS Y4, Y4, Y4
	VXORPS Y5, Y5, Y5
	VXORPS Y6, Y6, Y6
	VXORPS Y7, Y7, Y7

step4:
	WEIGHTS
	ROWS2((SI), (SI)(R8*1), Y0, Y1, Y2, Y3)
	ROWS2((SI)(R8*2), (R10), Y4, Y5, Y6, Y7)
	ADDQ $16, DI
	ADDQ $4, SI
	ADDQ $4, R10
	DECQ CX
	JNZ  step4

	VMOVUPS (R11), Y12
	VMOVUPS 32(R11), Y13
	VMOVUPS (R12), Y14
	VMOVUPS 32(R12), Y15
	SCALE(Y0, Y1)
	SCALE(Y2, Y3)
	SCALE(Y4, Y5)
	SCALE(Y6, Y7)
	STORE(Y0, Y1)
	STORE(Y2, Y3)
	STORE(Y4, Y5)
	STORE(Y6, Y7)
	VZEROUPPER
	RET

// func scoreRows(dst, q, keys *float32, rows, width, stride int)
TEXT ·scoreRows(SB), NOSPLIT, $0-48
	MOVQ dst+0(FP), BX
	MOVQ q+8(FP), R10
	MOVQ keys+16(FP), R11
	MOVQ rows+24(FP), CX
	MOVQ width+32(FP), R12
	MOVQ stride+40(FP), R8

scoreRow:
	MOVQ   R10, SI
	MOVQ   R11, DI
	MOVQ   R12, DX
	VXORPS Y0, Y0, Y0
	VXORPS Y1, Y1, Y1
	VXORPS Y2, Y2, Y2
	VXORPS Y3, Y3, Y3

scoreLane:
	VMOVUPS     (SI), Y4
	VMOVUPS     32(SI), Y5
	VMOVUPS     64(SI), Y6
	VMOVUPS     96(SI), Y7
	VFMADD231PS (DI), Y4, Y0
	VFMADD231PS 32(DI), Y5, Y1
	VFMADD231PS 64(DI), Y6, Y2
	VFMADD231PS 96(DI), Y7, Y3
	ADDQ        $128, SI
	ADDQ        $128, DI
	SUBQ        $32, DX
	JNZ         scoreLane

	VADDPS       Y1, Y0, Y0
	VADDPS       Y3, Y2, Y2
	VADDPS       Y2, Y0, Y0
	VEXTRACTF128 $1, Y0, X1
	VADDPS       X1, X0, X0
	VHADDPS      X0, X0, X0
	VHADDPS      X0, X0, X0
	VMOVSS       X0, (BX)
	ADDQ         $4, BX
	ADDQ         R8, R11
	DECQ         CX
	JNZ          scoreRow
	VZEROUPPER
	RET

// func blendRows(dst, weights, values *float32, rows, width, stride int)
TEXT ·blendRows(SB), NOSPLIT, $0-48
	MOVQ dst+0(FP), BX
	MOVQ weights+8(FP), R10
	MOVQ values+16(FP), R11
	MOVQ rows+24(FP), R12
	MOVQ width+32(FP), DX
	MOVQ stride+40(FP), R8

blendLane:
	MOVQ   R10, SI
	MOVQ   R11, DI
	MOVQ   R12, CX
	VXORPS Y0, Y0, Y0
	VXORPS Y1, Y1, Y1
	VXORPS Y2, Y2, Y2
	VXORPS Y3, Y3, Y3

blendRow:
	VBROADCASTSS (SI), Y4
	VFMADD231PS  (DI), Y4, Y0
	VFMADD231PS  32(DI), Y4, Y1
	VFMADD231PS  64(DI), Y4, Y2
	VFMADD231PS  96(DI), Y4, Y3
	ADDQ         $4, SI
	ADDQ         R8, DI
	DECQ         CX
	JNZ          blendRow

	VMOVUPS Y0, (BX)
	VMOVUPS Y1, 32(BX)
	VMOVUPS Y2, 64(BX)
	VMOVUPS Y3, 96(BX)
	ADDQ    $128, BX
	ADDQ    $128, R11
	SUBQ    $32, DX
	JNZ     blendLane
	VZEROUPPER
	RET
