#include "textflag.h"

// func dotRows(dst, rows, query *float32, count, width int)
TEXT ·dotRows(SB), NOSPLIT, $0-40
	MOVQ dst+0(FP), BX
	MOVQ rows+8(FP), DI
	MOVQ query+16(FP), R10
	MOVQ count+24(FP), CX
	MOVQ width+32(FP), R12

row:
	MOVQ   R10, SI
	MOVQ   R12, DX
	VXORPS Y0, Y0, Y0
	VXORPS Y1, Y1, Y1
	VXORPS Y2, Y2, Y2
	VXORPS Y3, Y3, Y3

values:
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
	JNZ         values

	VADDPS       Y1, Y0, Y0
	VADDPS       Y3, Y2, Y2
	VADDPS       Y2, Y0, Y0
	VEXTRACTF128 $1, Y0, X1
	VADDPS       X1, X0, X0
	VHADDPS      X0, X0, X0
	VHADDPS      X0, X0, X0
	VMOVSS       X0, (BX)
	ADDQ         $4, BX
	DECQ         CX
	JNZ          row
	VZEROUPPER
	RET
