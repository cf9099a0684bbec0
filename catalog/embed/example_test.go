package embed_test

import (
	"context"
	"fmt"

	"remit/catalog/embed"
)

func ExampleEncoder_Embed() {
	encoder, err := embed.New()
	if err != nil {
		panic(err)
	}
	texts := []string{"send money to a person", "create payment", "list calendar events"}
	vectors, err := encoder.Embed(context.Background(), texts)
	if err != nil {
		panic(err)
	}
	for i := 1; i < len(texts); i++ {
		var cosine float32
		for j, v := range vectors[i] {
			cosine += v * vectors[0][j]
		}
		fmt.Printf("%.2f %s\n", cosine, texts[i])
	}
	// Output:
	// 0.35 create payment
	// -0.09 list calendar events
}
