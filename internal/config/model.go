package config

import (
	"errors"
	"fmt"
	"net/url"
	"time"
)

// Model says which language model improves drafts. Without a URL there is none.
type Model struct {
	URL               string        `yaml:"url" env:"REMIT_MODEL_URL" default:"" placeholder:"URL" help:"OpenAI-compatible chat endpoint, such as http://127.0.0.1:11434/v1 (default: empty, drafts are made without a language model)."`
	Name              string        `yaml:"name" env:"REMIT_MODEL_NAME" default:"" placeholder:"NAME" help:"Model at that endpoint (default: none; needed with a URL)."`
	Key               string        `yaml:"key" env:"REMIT_MODEL_KEY" default:"" placeholder:"REFERENCE" help:"Key of that endpoint, as $${NAME} or $${file:/path} (default: none)."`
	Wait              time.Duration `yaml:"wait" env:"REMIT_MODEL_WAIT" default:"30s" placeholder:"TIME" help:"How long a draft waits for the model, all questions together; then the draft without it is shown (default: 30s)."`
	Temperature       float64       `yaml:"temperature" env:"REMIT_MODEL_TEMPERATURE" default:"0" placeholder:"N" help:"Sampling temperature; below 0 none is sent (default: 0)."`
	MaxTokens         int           `yaml:"max-tokens" env:"REMIT_MODEL_MAX_TOKENS" default:"4000" placeholder:"N" help:"Most tokens of one answer (default: 4000)."`
	RequestsPerMinute int           `yaml:"requests-per-minute" env:"REMIT_MODEL_REQUESTS_PER_MINUTE" default:"60" placeholder:"N" help:"Most requests a minute (default: 60)."`
	PriceIn           float64       `yaml:"price-in" env:"REMIT_MODEL_PRICE_IN" default:"0" placeholder:"PRICE" help:"Price of a million tokens that the model reads, from which the cost of a draft is told (default: 0)."`
	PriceOut          float64       `yaml:"price-out" env:"REMIT_MODEL_PRICE_OUT" default:"0" placeholder:"PRICE" help:"Price of a million tokens that the model writes (default: 0)."`
	Proxy             string        `yaml:"proxy" env:"REMIT_MODEL_PROXY" default:"" placeholder:"URL" help:"Proxy to the endpoint (default: that of HTTPS_PROXY and HTTP_PROXY)."`
	CA                string        `yaml:"ca" env:"REMIT_MODEL_CA" default:"" placeholder:"FILE" help:"PEM file of a certificate authority that the endpoint's certificate may be of, beside the system's (default: none)."`
	Needs             ModelTask     `yaml:"needs" embed:"" prefix:"needs-" envprefix:"REMIT_MODEL_NEEDS_"`
	Choose            ModelTask     `yaml:"choose" embed:"" prefix:"choose-" envprefix:"REMIT_MODEL_CHOOSE_"`
	Critique          ModelTask     `yaml:"critique" embed:"" prefix:"critique-" envprefix:"REMIT_MODEL_CRITIQUE_"`
}

// ModelTask is what is otherwise for one of the three questions of a draft.
type ModelTask struct {
	Name        string `yaml:"name" env:"NAME" default:"" placeholder:"NAME" help:"Model for this question (default: that of model.name)."`
	Temperature string `yaml:"temperature" env:"TEMPERATURE" default:"" placeholder:"N" help:"Temperature for this question (default: that of model.temperature)."`
	MaxTokens   int    `yaml:"max-tokens" env:"MAX_TOKENS" default:"0" placeholder:"N" help:"Most tokens of the answer to this question (default: 0, those of model.max-tokens)."`
}

func (m Model) validate() error {
	for name, text := range map[string]string{"model.url": m.URL, "model.proxy": m.Proxy} {
		u, err := url.Parse(text)
		if text != "" && (err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "") {
			return fmt.Errorf("%s is not a usable address: it must look like https://host, without a user or a query", name)
		}
	}
	switch {
	case m.URL != "" && m.Name == "":
		return errors.New("model.url needs model.name: name the model at that endpoint")
	case m.URL != "" && (m.Wait < time.Second || m.Wait > 2*time.Minute):
		return fmt.Errorf("model.wait is %s: it must be from 1s to 2m", m.Wait)
	case m.MaxTokens < 0 || m.RequestsPerMinute < 0 || m.PriceIn < 0 || m.PriceOut < 0:
		return errors.New("model.max-tokens, requests-per-minute and prices must not be negative")
	case m.Temperature > 2:
		return fmt.Errorf("model.temperature is %v: it must be at most 2", m.Temperature)
	}
	return nil
}
