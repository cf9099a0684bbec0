package vector

// lane is how many values a kernel takes at once; rows are padded to a multiple of it.
const lane = 32

// dots sets dst[i] to the dot product of query and the i-th of the rows, which lie one after the other. It is the kernel
// for every processor, and what the others are tested against.
func dots(dst, rows, query []float32) {
	for i := range dst {
		row := rows[i*len(query):][:len(query)]
		var s0, s1, s2, s3 float32
		for j := 0; j+4 <= len(row); j += 4 {
			a, b := row[j:][:4], query[j:][:4]
			s0 += a[0] * b[0]
			s1 += a[1] * b[1]
			s2 += a[2] * b[2]
			s3 += a[3] * b[3]
		}
		dst[i] = s0 + s1 + s2 + s3
	}
}
