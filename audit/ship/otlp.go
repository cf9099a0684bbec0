package ship

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	logs "go.opentelemetry.io/proto/otlp/logs/v1"
	resource "go.opentelemetry.io/proto/otlp/resource/v1"
	"google.golang.org/protobuf/proto"

	"remit/audit"
)

// otlp sends log records of OpenTelemetry over HTTP, as protobuf. The answer acknowledges them.
type otlp struct {
	url     string
	headers map[string]string
	client  *http.Client
}

const maxAnswer = 64 << 10 // bytes

func newOTLP(u *url.URL, headers map[string]string, secure *tls.Config) *otlp {
	to := *u
	if to.Path == "" || to.Path == "/" {
		to.Path = "/v1/logs"
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = secure
	return &otlp{url: to.String(), headers: headers, client: &http.Client{Transport: transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}} // credentials go nowhere else
}

// Send posts the entries and waits for the answer.
func (o *otlp) Send(ctx context.Context, entries []audit.Entry) error {
	if len(entries) == 0 {
		return nil
	}
	body, err := request(entries)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, o.url, bytes.NewReader(body))
	if err != nil {
		return errors.New("the address cannot be used")
	}
	r.Header.Set("Content-Type", "application/x-protobuf")
	for name, value := range o.headers {
		r.Header.Set(name, value)
	}
	res, err := o.client.Do(r)
	if err != nil {
		if cause, ok := errors.AsType[*url.Error](err); ok {
			err = cause.Err // without the address, which may hold a secret
		}
		return fmt.Errorf("the collector cannot be reached: %w", err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("reading the collector's answer: %w", err)
	}
	if res.StatusCode/100 != 2 {
		return fmt.Errorf("the collector answered %d", res.StatusCode)
	}
	var said collector.ExportLogsServiceResponse
	if err := proto.Unmarshal(answer, &said); err != nil {
		return errors.New("the collector's answer is not OTLP: is the path right? It is /v1/logs by default")
	}
	if n := said.GetPartialSuccess().GetRejectedLogRecords(); n > 0 {
		return fmt.Errorf("the collector refused %d of %d records", n, len(entries))
	}
	return nil
}

// Close ends idle connections.
func (o *otlp) Close() error {
	o.client.CloseIdleConnections()
	return nil
}

func request(entries []audit.Entry) ([]byte, error) {
	scope := &logs.ScopeLogs{Scope: &common.InstrumentationScope{Name: "remit/audit"}}
	for _, e := range entries {
		r, err := logRecord(e)
		if err != nil {
			return nil, err
		}
		scope.LogRecords = append(scope.LogRecords, r)
	}
	return proto.Marshal(&collector.ExportLogsServiceRequest{ResourceLogs: []*logs.ResourceLogs{{
		Resource:  &resource.Resource{Attributes: []*common.KeyValue{attribute("service.name", "remit")}},
		ScopeLogs: []*logs.ScopeLogs{scope}}}})
}

// logRecord has the sealed entry as its body, and as attributes what one looks for.
func logRecord(e audit.Entry) (*logs.LogRecord, error) {
	body, err := text(e)
	if err != nil {
		return nil, err
	}
	level, name := logs.SeverityNumber_SEVERITY_NUMBER_INFO, "INFO"
	switch severity(e.Decision) {
	case 4:
		level, name = logs.SeverityNumber_SEVERITY_NUMBER_WARN, "WARN"
	case 3:
		level, name = logs.SeverityNumber_SEVERITY_NUMBER_ERROR, "ERROR"
	}
	r := &logs.LogRecord{TimeUnixNano: uint64(e.Time.UnixNano()), ObservedTimeUnixNano: uint64(time.Now().UnixNano()), SeverityNumber: level,
		SeverityText: name, EventName: "remit." + e.Kind, Body: &common.AnyValue{Value: &common.AnyValue_StringValue{StringValue: string(body)}}}
	for _, a := range [][2]string{{"seq", strconv.FormatInt(e.Seq, 10)}, {"kind", e.Kind}, {"decision", string(e.Decision)}, {"person", e.Person},
		{"agent", e.Agent}, {"user", e.User}, {"key", e.Key}, {"persona", e.Persona}, {"tool", e.Tool}, {"policy", e.Policy}, {"hash", e.Hash}} {
		if a[1] != "" {
			r.Attributes = append(r.Attributes, attribute("remit."+a[0], a[1]))
		}
	}
	if id, err := hex.DecodeString(e.Trace); err == nil && len(id) == 16 {
		r.TraceId = id
	}
	return r, nil
}

func attribute(key, value string) *common.KeyValue {
	return &common.KeyValue{Key: key, Value: &common.AnyValue{Value: &common.AnyValue_StringValue{StringValue: value}}}
}
