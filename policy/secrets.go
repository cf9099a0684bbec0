package policy

import (
	"regexp"
	"strings"
	"sync"
)

// keyForm is a form of keys: what they begin with and how the whole reads.
type keyForm struct {
	prefix string
	whole  func() *regexp.Regexp // from the prefix on; compiled when the prefix is first met, since all together take a while
}

// keyForms are the forms, as their issuers or secret scanners publish them.
var keyForms = func() (forms []keyForm) {
	for _, line := range [][2]string{
		{`AKIA ASIA ABIA ACCA`, `[A-Z2-7]{16}`}, // AWS access key id
		{`ghp_ gho_ ghu_ ghs_ ghr_`, `[A-Za-z0-9]{36,251}`},
		{`github_pat_`, `[A-Za-z0-9_]{60,244}`},
		{`glpat- gldt- glrt- glcbt- glptt- glft- glimt- glagent- gloas- glsoat- glffct-`, `[A-Za-z0-9_.-]{20,300}`},
		{`xoxb- xoxp- xoxa- xoxr- xoxs- xoxe- xoxc- xoxd- xapp-`, `[A-Za-z0-9.%-]{16,500}`},
		{`hooks.slack.com/services/`, `T[A-Z0-9]+/B[A-Z0-9]+/[A-Za-z0-9]{16,}`},
		{`sk_live_ sk_test_ rk_live_ rk_test_ whsec_`, `[A-Za-z0-9+/=]{16,250}`}, // Stripe
		{`AIza`, `[A-Za-z0-9_-]{35}`},
		{`GOCSPX-`, `[A-Za-z0-9_-]{28}`},
		{`ya29.`, `[A-Za-z0-9_.-]{20,999}`},
		{`sk-ant- sk-proj- sk-svcacct- sk-admin- sk-or-v1-`, `[A-Za-z0-9_-]{20,300}`},
		{`sk-`, `[A-Za-z0-9]{20,100}`},
		{`npm_`, `[A-Za-z0-9]{36}`},
		{`pypi-`, `AgE[A-Za-z0-9_-]{40,1000}`},
		{`hf_`, `[A-Za-z0-9]{30,50}`},
		{`gsk_ xai-`, `[A-Za-z0-9]{40,100}`},
		{`SG.`, `[A-Za-z0-9_-]{16,32}\.[A-Za-z0-9_-]{16,64}`}, // SendGrid
		{`dop_v1_ doo_v1_ dor_v1_`, `[0-9a-f]{64}`},
		{`shpat_ shpca_ shppa_ shpss_`, `[0-9a-fA-F]{32}`},
		{`dckr_pat_`, `[A-Za-z0-9_-]{20,100}`},
		{`lin_api_`, `[A-Za-z0-9]{30,60}`},
		{`ntn_`, `[A-Za-z0-9]{40,60}`},
		{`AGE-SECRET-KEY-1`, `[A-Z0-9]{58}`},
		{`remit_`, `[a-z2-7]{10}_[a-z2-7]{59}`},
	} {
		for _, prefix := range strings.Fields(line[0]) {
			forms = append(forms, keyForm{prefix, sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^` + regexp.QuoteMeta(prefix) + line[1]) })})
		}
	}
	return forms
}()

// awsSecret is known by what stands before it alone.
var awsSecret = regexp.MustCompile(`(?i)(?:aws.{0,20}secret|secret_?access_?key).{0,24}?["'\s:=>]([a-z0-9/+]{40})(?:[^a-z0-9/+=]|$)`)

func apiKeys(s *sample) (found []span) {
	for _, w := range s.words {
		word := s.text[w.start:w.end]
		for _, form := range keyForms {
			for from := 0; ; {
				i := strings.Index(word[from:], form.prefix)
				if i < 0 {
					break
				}
				i += from
				from = i + len(form.prefix)
				if i > 0 && (letter(word[i-1]) || figure(word[i-1])) {
					continue
				}
				if key := form.whole().FindString(word[i:]); random(key[min(len(key), len(form.prefix)):]) && !figure(s.after(w.start+i+len(key))) {
					key = strings.TrimRight(key, ".-")
					found = append(found, span{w.start + i, w.start + i + len(key)})
				}
			}
		}
		if w.end-w.start >= 40 {
			found = s.awsSecret(found, w)
		}
	}
	return found
}

func (s *sample) awsSecret(found []span, w span) []span {
	from := max(0, w.start-64)
	around := s.hint + " " + s.text[from:min(len(s.text), w.end+1, w.start+160)]
	if !strings.Contains(strings.ToLower(around), "secret") {
		return found
	}
	for _, at := range awsSecret.FindAllStringSubmatchIndex(around, -1) {
		if shift := from - len(s.hint) - 1; at[2]+shift >= w.start {
			found = append(found, span{at[2] + shift, at[3] + shift})
		}
	}
	return found
}

// random says that a text is no word or phrase: it has a digit, or letters of both cases without order.
func random(key string) bool {
	if key == "" {
		return false
	}
	digits, changes := 0, 0
	for i := range len(key) {
		if figure(key[i]) {
			digits++
		}
		if i > 0 && key[i] >= 'A' && key[i] <= 'Z' && key[i-1] >= 'a' && key[i-1] <= 'z' {
			changes++
		}
	}
	return digits > 0 || changes > 2
}

var (
	jwt    = regexp.MustCompile(`^eyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*){2,4}`)
	bearer = regexp.MustCompile(`(?i)\b(?:bearer|authorization["']?\s*[:=]\s*["']?basic)[\s:"'=]{1,4}$`)
)

func bearerTokens(s *sample) (found []span) {
	for _, w := range s.words {
		word := s.text[w.start:w.end]
		for from := 0; ; {
			i := strings.Index(word[from:], "eyJ")
			if i < 0 {
				break
			}
			i += from
			from = i + 3
			if i > 0 && (letter(word[i-1]) || figure(word[i-1])) {
				continue
			}
			if token := jwt.FindString(word[i:]); token != "" {
				found = append(found, span{w.start + i, w.start + i + len(strings.TrimRight(token, "-"))})
				from = i + len(token)
			}
		}
		if known := len(found) > 0 && found[len(found)-1].end > w.start; !known {
			head := s.text[max(0, w.start-32):w.start]
			if announces(strings.ToLower(head), []string{"bearer", "basic"}) && random(word) && bearer.MatchString(head) {
				found = append(found, span{w.start, w.start + len(strings.TrimRight(word, "."))})
			}
		}
	}
	return found
}

const (
	pemBegin = "-----BEGIN "
	pemEnd   = "-----END "
)

// privateKeys finds whole blocks. One that is cut off ends with the text.
func privateKeys(s *sample) (found []span) {
	if !s.dashes {
		return nil
	}
	for from := 0; ; {
		i := strings.Index(s.text[from:], pemBegin)
		if i < 0 {
			return found
		}
		start := from + i
		from = start + len(pemBegin)
		title, _, ok := strings.Cut(s.text[from:min(len(s.text), from+64)], "-----")
		if !ok || !strings.Contains(title, "PRIVATE KEY") {
			continue
		}
		end := len(s.text)
		if i := strings.Index(s.text[from:], pemEnd+title+"-----"); i >= 0 {
			end = from + i + len(pemEnd) + len(title) + len("-----")
		}
		found = append(found, span{start, end})
		from = end
	}
}

// wrapped is the end of a word that is base64 in lines of equal length, as in mail: where it begins and where its first line ends
// are given.
func (s *sample) wrapped(start, end int) int {
	width := end - start
	if width < 60 || width%4 != 0 {
		return end
	}
	for end < len(s.text) {
		next := end
		if s.text[next] == '\r' {
			next++
		}
		if next >= len(s.text) || s.text[next] != '\n' {
			break
		}
		line := next + 1
		at := line
		for at < len(s.text) && at-line < width && classes[s.text[at]]&isWord != 0 {
			at++
		}
		if at == line || at < len(s.text) && classes[s.text[at]]&isWord != 0 {
			break
		}
		if end = at; at-line < width {
			break
		}
	}
	return end
}
