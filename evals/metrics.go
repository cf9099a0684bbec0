package evals

// Definition says what a metric is.
type Definition struct {
	Name   string
	Title  string // as tables show it
	Kind   Kind
	Better Direction
	// Headline metrics are those that a comparison gives a verdict on; the first of a kind is its main one.
	Headline bool
	Unit     string // "share" is 0 to 1
	Meaning  string
}

// Direction says which way a metric should go.
type Direction int

// The directions.
const (
	Neutral Direction = 0
	Higher  Direction = 1
	Lower   Direction = -1
)

// Definitions lists every metric of every kind, in the order of tables. Means are macro averages over cases: every case
// counts the same.
var Definitions = []Definition{
	{"ndcg_at_10", "nDCG@10", Retrieve, Higher, true, "share", "normalised discounted cumulative gain (Järvelin and Kekäläinen, 2002): Σ gain/log2(rank+1) over the first ten results, divided by that of the ideal order; a result gains 1 if it covers a slot that none before it did"},
	{"recall_at_5", "R@5", Retrieve, Higher, false, "share", "share of a query's slots that the first 5 results cover; a slot is covered by any one of its tools"},
	{"recall_at_10", "R@10", Retrieve, Higher, true, "share", "the same of the first 10"},
	{"recall_at_20", "R@20", Retrieve, Higher, false, "share", "the same of the first 20"},
	{"mrr", "MRR", Retrieve, Higher, false, "share", "1/rank of the first result that covers a slot, 0 when none of the first 20 does"},

	{"tools", "tools", Compose, Neutral, false, "tools", "tools that a draft grants"},
	{"tokens", "tokens", Compose, Neutral, false, "tokens", "o200k tokens of the granted definitions"},
	{"need_recall", "need recall", Compose, Higher, true, "share", "share of the needs that a granted tool meets; 1 where a case has none"},
	{"precision", "precision", Compose, Higher, false, "share", "share of the granted tools that meet a need or are accepted; 0 where nothing is granted"},
	{"f1", "F1", Compose, Higher, false, "share", "harmonic mean of the means of precision and need recall"},
	{"over_privilege", "over-privilege", Compose, Lower, true, "share", "1 − precision; 0 where nothing is granted"},
	{"forbidden", "forbidden", Compose, Lower, true, "share", "share of the cases that grant a tool which the job rules out (forbidden_cases of score.py)"},
	{"complete", "complete", Compose, Higher, false, "share", "share of the cases with every need met"},
	{"clean", "clean", Compose, Higher, false, "share", "share of the cases that are complete and grant nothing but needed and accepted tools"},
	{"gap_recall", "gap recall", Compose, Higher, false, "share", "share of the cases with a gap in which the draft reports one"},
	{"gaps_invented", "gaps invented", Compose, Lower, false, "share", "share of the cases without a gap in which the draft reports one"},

	{"model_failed", "model failed", Compose, Lower, false, "share", "share of the drafts that are the composer's alone because the language model refused, was late or gave nothing that can be used"},
	{"requests", "requests", Compose, Lower, false, "requests", "requests of a draft to the language model"},
	{"prompt_tokens", "tokens read", Compose, Lower, false, "tokens", "tokens of a draft that the language model read, as its endpoint counts them"},
	{"completion_tokens", "tokens written", Compose, Lower, false, "tokens", "tokens of a draft that it wrote"},
	{"cost", "cost", Compose, Lower, false, "price", "price of these, in the currency of model.price-in and model.price-out; 0 where no price is set"},

	{"exact", "exact", Enforce, Higher, true, "share", "share of the cases in which every check got what it wants"},

	{"latency_p50_ms", "p50 ms", "", Lower, false, "ms", "median time of a case (nearest rank), with setup.parallel cases at a time"},
	{"latency_p99_ms", "p99 ms", "", Lower, false, "ms", "99th percentile of it"},
	{"model_p50_ms", "model p50 ms", "", Lower, false, "ms", "median time for which a draft waited for the language model's endpoint; of recorded answers as long as they took then"},
	{"model_p99_ms", "model p99 ms", "", Lower, false, "ms", "99th percentile of it"},
	{"degraded", "degraded", "", Lower, false, "cases", "cases in which the search used words only although it should not have"},
}

// Define returns the definition of a metric.
func Define(name string) (Definition, bool) {
	for _, d := range Definitions {
		if d.Name == name {
			return d, true
		}
	}
	return Definition{}, false
}
