// Command table prints what the benchmark's suite measured as one table, with ratios to the buffering reverse proxy of the same cell.
package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"slices"
)

// row is a line of the suite's results.
type row struct {
	Run    string  `json:"run"`
	Target string  `json:"target"`
	Start  float64 `json:"start_ms"`
	Idle   float64 `json:"idle_rss_mb"`
	Err    string  `json:"err"`
	Cell   *cell   `json:"cell"`
}

type cell struct {
	Op        string  `json:"op"`
	Sessions  int     `json:"c"`
	Payload   int     `json:"payload"`
	Rate      float64 `json:"rate"`
	N         int     `json:"n"`
	Errors    int     `json:"errors"`
	ErrSample string  `json:"err_sample"`
	RPS       float64 `json:"rps"`
	P50       float64 `json:"p50_us"`
	P99       float64 `json:"p99_us"`
	CPU       float64 `json:"gw_cpu_us_per_call"`
}

// place is what the rounds of a cell have in common.
type place struct {
	run, op           string
	payload, sessions int
}

const proxy = "buffering"

func main() {
	half := flag.String("half", "", "print half the rate at which this target took calls of 100 B with 16 sessions, and nothing else")
	flag.Parse()
	if err := run(flag.Arg(0), *half); err != nil {
		fmt.Fprintln(os.Stderr, "table:", err)
		os.Exit(1)
	}
}

func run(file, half string) error {
	rows, err := read(file)
	if err != nil {
		return err
	}
	cells, targets := map[place]map[string][]cell{}, []string{}
	for _, r := range rows {
		if r.Err != "" {
			return fmt.Errorf("%s: %s", r.Target, r.Err)
		}
		if !slices.Contains(targets, r.Target) {
			targets = append(targets, r.Target)
		}
		if r.Cell == nil {
			continue
		}
		if n := r.Cell.Errors; n > r.Cell.N/1000 {
			return fmt.Errorf("%s: %d of %d failed with %d sessions: %s", r.Target, n, r.Cell.N, r.Cell.Sessions, r.Cell.ErrSample)
		} else if n > 0 { // the largest limit that there is, 10,000 calls a second, is nearly reached with 64 sessions
			fmt.Fprintf(os.Stderr, "table: %s: %d of %d failed with %d sessions: %s\n", r.Target, n, r.Cell.N, r.Cell.Sessions, r.Cell.ErrSample)
		}
		p := place{r.Run, r.Cell.Op, r.Cell.Payload, r.Cell.Sessions}
		if cells[p] == nil {
			cells[p] = map[string][]cell{}
		}
		cells[p][r.Target] = append(cells[p][r.Target], *r.Cell)
	}
	if half != "" {
		fmt.Println(int(median(cells[place{"cells", "call", 100, 16}][half], func(c cell) float64 { return c.RPS }) / 2))
		return nil
	}
	print(cells, targets)
	return idle(rows, targets)
}

func read(file string) (rows []row, err error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		var r row
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			return nil, err
		}
		rows = append(rows, r)
	}
	return rows, lines.Err()
}

func median(cells []cell, of func(cell) float64) float64 {
	if len(cells) == 0 {
		return 0
	}
	values := make([]float64, len(cells))
	for i, c := range cells {
		values[i] = of(c)
	}
	slices.Sort(values)
	return values[len(values)/2]
}

func print(cells map[place]map[string][]cell, targets []string) {
	fmt.Println("| run | what | sessions | target | CPU µs | × proxy | per s | × proxy | p50 ms | p99 ms |")
	fmt.Println("|---|---|---:|---|---:|---:|---:|---:|---:|---:|")
	places := []place{}
	for p := range cells {
		places = append(places, p)
	}
	slices.SortFunc(places, func(a, b place) int {
		return cmp.Or(cmp.Compare(a.run, b.run), cmp.Compare(a.op, b.op), cmp.Compare(a.payload, b.payload), cmp.Compare(a.sessions, b.sessions))
	})
	for _, p := range places {
		what := p.op
		if p.payload > 0 {
			what = fmt.Sprintf("%s %d B", p.op, p.payload)
		}
		for _, t := range targets {
			of := cells[p][t]
			if len(of) == 0 {
				continue
			}
			if rate := of[0].Rate; rate > 0 {
				what = fmt.Sprintf("%s %d B at %.0f/s", p.op, p.payload, rate)
			}
			cpu, rps := func(c cell) float64 { return c.CPU }, func(c cell) float64 { return c.RPS }
			fmt.Printf("| %s | %s | %d | %s | %.0f | %.2f | %.0f | %.2f | %.2f | %.2f |\n", p.run, what, p.sessions, t,
				median(of, cpu), median(of, cpu)/median(cells[p][proxy], cpu), median(of, rps), median(of, rps)/median(cells[p][proxy], rps),
				median(of, func(c cell) float64 { return c.P50 })/1000, median(of, func(c cell) float64 { return c.P99 })/1000)
		}
	}
}

// idle prints what each target takes before anybody calls it.
func idle(rows []row, targets []string) error {
	fmt.Println("\n| target | start ms | idle MB |\n|---|---:|---:|")
	for _, t := range targets {
		var start, memory []float64
		for _, r := range rows {
			if r.Target == t && r.Cell == nil {
				start, memory = append(start, r.Start), append(memory, r.Idle)
			}
		}
		slices.Sort(start)
		slices.Sort(memory)
		fmt.Printf("| %s | %.0f | %.0f |\n", t, start[len(start)/2], memory[len(memory)/2])
	}
	return nil
}
