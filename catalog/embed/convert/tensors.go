package main

import (
	"fmt"

	"remit/catalog/embed/modelfile"
)

// rename says which tensor of the package becomes which of ours.
type rename struct {
	kind, to, from string
}

const (
	// The converter of the package kept some weights under the names of the graph and some under the names of the module.
	graph  = "module_apply_default/Encoder_en/KonaTransformer/Encode/"
	module = "module/Encoder_en/KonaTransformer/Encode/"
	concat = "/ConcatPartitions/concat"
)

func tensors() []rename {
	list := []rename{
		{modelfile.KindTable, "embedding", "module/Embeddings_en"},
		{modelfile.KindFloats, "timing", graph + "TransformerStack/Layer_0/AddTimingSignal/TimingSignal/ExpandDims_1"},
	}
	for i := range 2 {
		list = append(list, layer(i)...)
	}
	block := fmt.Sprintf("%sLayer_0/TransformerLayer/dense/", graph)
	return append(list,
		rename{modelfile.KindMatrix, "0.widen", block + "kernel" + concat},
		rename{modelfile.KindFloats, "0.widen.bias", block + "bias" + concat},
		rename{modelfile.KindMatrix, "top", "module/Encoder_en/hidden_layers/tanh_layer_0/weights"},
		rename{modelfile.KindFloats, "top.bias", "module/Encoder_en/hidden_layers/tanh_layer_0/bias"},
	)
}

func layer(i int) []rename {
	to := func(name string) string { return fmt.Sprintf("%d.%s", i, name) }
	block := fmt.Sprintf("%sLayer_%d/TransformerLayer/", graph, i)
	stack := fmt.Sprintf("%sTransformerStack/Layer_%d/TransformerLayer/FFN/", graph, i)
	kernel := fmt.Sprintf("%sLayer_%d/TransformerLayer/MultiheadAttention/", module, i)
	const norm = "layer_prepostprocess/layer_norm/layer_norm_"
	return []rename{
		{modelfile.KindFloats, to("norm1.scale"), block + norm + "scale" + concat},
		{modelfile.KindFloats, to("norm1.bias"), block + norm + "bias" + concat},
		{modelfile.KindMatrix, to("qkv"), kernel + "qkv_transform_single/kernel/part_0"},
		{modelfile.KindFloats, to("qkv.bias"), block + "MultiheadAttention/qkv_transform_single/bias" + concat},
		{modelfile.KindMatrix, to("out"), kernel + "output_transform_single/kernel/part_0"},
		{modelfile.KindFloats, to("out.bias"), block + "MultiheadAttention/output_transform_single/bias" + concat},
		{modelfile.KindFloats, to("norm2.scale"), block + "FFN/" + norm + "scale" + concat},
		{modelfile.KindFloats, to("norm2.bias"), block + "FFN/" + norm + "bias" + concat},
		{modelfile.KindMatrix, to("ffn1"), stack + "conv1/Tensordot/Reshape_1"},
		{modelfile.KindFloats, to("ffn1.bias"), block + "FFN/conv1/bias" + concat},
		{modelfile.KindMatrix, to("ffn2"), stack + "conv2/Tensordot/Reshape_1"},
		{modelfile.KindFloats, to("ffn2.bias"), block + "FFN/conv2/bias" + concat},
	}
}
