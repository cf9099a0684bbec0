package policy

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// floors are the least precision and recall, in percent, of detectors that are not always right on the labelled set.
var floors = map[string][2]int{
	"phone": {98, 95},
	"iban":  {100, 90},
}

// Each line of the set is a text and every value in it that should be found: what is found beside is a false positive, for whichever
// detector the line was written.
func TestDetectors(t *testing.T) {
	type tally struct{ right, wrong, missed int }
	tallies := map[string]*tally{}
	for _, d := range Detectors {
		tallies[d.Name] = &tally{}
	}
	lines := 0
	for _, line := range labelled(t) {
		lines++
		var s sample
		s.look(line.Text, "")
		for _, d := range Detectors {
			n := tallies[d.Name]
			var want []string
			for _, f := range line.Find {
				if f.Detector == d.Name {
					want = append(want, f.Value)
				}
			}
			for _, at := range d.find(&s) {
				got := line.Text[at.start:at.end]
				if i := slices.Index(want, got); i >= 0 {
					n.right++
					want = slices.Delete(want, i, i+1)
					continue
				}
				n.wrong++
				t.Logf("%s: found %q in %q", d.Name, got, line.Text)
			}
			n.missed += len(want)
			for _, v := range want {
				t.Logf("%s: missed %q in %q", d.Name, v, line.Text)
			}
		}
	}
	var table strings.Builder
	for _, d := range Detectors {
		n := tallies[d.Name]
		fmt.Fprintf(&table, "| %s | %d | %d | %d |\n", d.Name, n.right, n.wrong, n.missed)
		floor, ok := floors[d.Name]
		if !ok {
			floor = [2]int{100, 100}
		}
		if n.right*100 < floor[0]*(n.right+n.wrong) || n.right*100 < floor[1]*(n.right+n.missed) || n.right < 10 {
			t.Errorf("%s: %d right, %d wrong, %d missed; want a precision of %d and a recall of %d percent, and ten cases", d.Name, n.right, n.wrong, n.missed, floor[0], floor[1])
		}
	}
	t.Logf("%d texts\n%s", lines, table.String())
	if doc, err := os.ReadFile("../docs/masking.md"); err != nil || !strings.Contains(string(doc), table.String()) {
		t.Errorf("docs/masking.md does not have this table (%v)", err)
	}
}

type labelledText struct {
	Text string `json:"text"`
	Find []struct {
		Detector string `json:"detector"`
		Value    string `json:"value"`
	} `json:"find"`
}

func labelled(t testing.TB) (lines []labelledText) {
	f, err := os.Open("testdata/pii.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for sc := bufio.NewScanner(f); sc.Scan(); {
		var l labelledText
		if err := json.Unmarshal(sc.Bytes(), &l); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, l)
	}
	return lines
}
