package telemetry

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"ddpserver/internal/lines"
	"ddpserver/internal/secret"
)

// JSON is the LogOptions.Format in which every record is a line of JSON.
const JSON = "json"

// LogOptions say what a logger writes, and where.
type LogOptions struct {
	// Level is the least severe level: "debug", "info", "warn" or "error".
	Level string
	// Format is "console", "json" or "auto": console when Out is a terminal.
	Format string
	// Out takes the records, a record a line.
	Out zapcore.WriteSyncer
	// Terminal tells whether Out is a terminal; see IsTerminal. Otherwise records are
	// written in the background, those below warn within 50 ms and together; call Sync
	// at the end, which waits for at most five seconds.
	Terminal bool
}

// lag is how long a record may wait for others. Warnings and worse do not wait.
const lag = 50 * time.Millisecond

// LogStats count what a logger did.
type LogStats struct {
	lost atomic.Int64  // to a terminal
	out  *lines.Writer // nil for a terminal
}

// Lost is the number of records that could not be written, as on a full disk.
func (s *LogStats) Lost() int64 {
	if s.out == nil {
		return s.lost.Load()
	}
	_, lost, _ := s.out.Stats()
	return lost
}

// NewLogger makes the program's logger. Fields whose key names a secret are
// masked, and passwords of URLs and mail addresses inside texts too, so that a
// careless record or a driver's error text does not leak them (docs/security-tests.md S084).
func NewLogger(o LogOptions) (*zap.Logger, *LogStats, error) {
	level, err := zapcore.ParseLevel(o.Level)
	if err != nil {
		return nil, nil, fmt.Errorf("log level %q is none of debug, info, warn, error", o.Level)
	}
	stats := &LogStats{}
	enc := zapcore.EncoderConfig{
		TimeKey: "time", LevelKey: "level", NameKey: "logger", MessageKey: "msg", StacktraceKey: "stack",
		EncodeLevel: zapcore.LowercaseLevelEncoder, EncodeDuration: zapcore.StringDurationEncoder,
		EncodeTime: func(t time.Time, e zapcore.PrimitiveArrayEncoder) {
			var buf [32]byte
			e.AppendByteString(t.UTC().AppendFormat(buf[:0], "2006-01-02T15:04:05.000Z07:00"))
		},
	}
	var encoder zapcore.Encoder
	if o.Format == "console" || o.Format != JSON && o.Terminal {
		enc.EncodeLevel = zapcore.CapitalLevelEncoder
		encoder = zapcore.NewConsoleEncoder(enc)
	} else {
		encoder = zapcore.NewJSONEncoder(enc)
	}
	out, hurry := zapcore.Lock(counted{o.Out, stats}), func() {}
	if !o.Terminal {
		stats.out = lines.New(lines.Options{Out: o.Out, Lag: lag, Gap: func(n int64) []byte { return lostRecords(encoder, n) }})
		out, hurry = stats.out, stats.out.Hurry
	}
	// A failure to write a record is told by the counter, and by a record once that can
	// be written.
	return zap.New(redactor{zapcore.NewCore(encoder, out, level), hurry}, zap.ErrorOutput(zapcore.AddSync(nowhere{}))), stats, nil
}

// lostRecords is the record that says how many records before it are missing.
func lostRecords(encoder zapcore.Encoder, n int64) []byte {
	entry := zapcore.Entry{Level: zapcore.WarnLevel, Time: time.Now(), Message: "log_records_lost"}
	line, err := encoder.Clone().EncodeEntry(entry, []zapcore.Field{zap.Int64("count", n)})
	if err != nil {
		return nil
	}
	defer line.Free()
	return slices.Clone(line.Bytes())
}

// IsTerminal tells whether f is a terminal (or another character device).
func IsTerminal(f *os.File) bool {
	st, err := f.Stat()
	return err == nil && st.Mode()&os.ModeCharDevice != 0
}

type nowhere struct{}

func (nowhere) Write(p []byte) (int, error) { return len(p), nil }

type counted struct {
	zapcore.WriteSyncer
	stats *LogStats
}

func (c counted) Write(p []byte) (int, error) {
	n, err := c.WriteSyncer.Write(p)
	if err != nil {
		c.stats.lost.Add(1)
	}
	return n, err
}

// redactor is a zapcore.Core that masks fields and texts on their way.
type redactor struct {
	zapcore.Core
	// hurry has what waits written now: what matters does not wait for others.
	hurry func()
}

func (r redactor) With(fields []zapcore.Field) zapcore.Core {
	return redactor{r.Core.With(redact(fields)), r.hurry}
}

func (r redactor) Check(e zapcore.Entry, ce *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if r.Enabled(e.Level) {
		return ce.AddCore(e, r)
	}
	return ce
}

func (r redactor) Write(e zapcore.Entry, fields []zapcore.Field) error {
	e.Message = oneLine(secret.Scrub(e.Message))
	err := r.Core.Write(e, redact(fields))
	if e.Level >= zapcore.WarnLevel {
		r.hurry()
	}
	return err
}

// redact returns fields, or a changed copy of them.
func redact(fields []zapcore.Field) []zapcore.Field {
	out := fields
	for i, f := range fields {
		g, changed := redactField(f)
		if !changed {
			continue
		}
		if &out[0] == &fields[0] {
			out = append([]zapcore.Field(nil), fields...)
		}
		out[i] = g
	}
	return out
}

func redactField(f zapcore.Field) (zapcore.Field, bool) {
	if f.Type != zapcore.SkipType && Sensitive(f.Key) {
		return zap.String(f.Key, "[redacted]"), true
	}
	var text string
	switch f.Type {
	case zapcore.StringType:
		text = f.String
	case zapcore.ErrorType:
		// The text only: a verbose form could print more than the text promises.
		return zap.String(f.Key, secret.Scrub(errorText(f.Interface))), true
	case zapcore.ByteStringType:
		text = string(f.Interface.([]byte))
	case zapcore.StringerType, zapcore.ReflectType:
		text = fmt.Sprint(f.Interface)
		if clean := secret.Scrub(text); clean != text {
			return zap.String(f.Key, clean), true
		}
		return f, false
	default:
		return f, false
	}
	clean := secret.Scrub(text)
	return zap.String(f.Key, clean), clean != text
}

// errorText survives an error whose Error method panics on a nil receiver.
func errorText(v any) (text string) {
	defer func() {
		if recover() != nil {
			text = "<nil>"
		}
	}()
	return v.(error).Error()
}

// sensitive are words that, as a whole word of a field's key, mark its value as
// secret. "token_id" is too: nothing that is called a token is worth the risk.
var sensitive = map[string]bool{
	"password": true, "pass": true, "passwd": true, "secret": true, "token": true, "tokens": true, "code": true, "codes": true,
	"digest": true, "bcrypt": true, "authorization": true, "cookie": true, "otp": true, "totp": true, "params": true, "resume": true,
}

// Sensitive tells whether a field of that key is masked: keys are split at
// underscores, hyphens, dots and changes of case.
func Sensitive(key string) bool {
	known := judged.Load()
	if verdict, ok := (*known)[key]; ok {
		return verdict
	}
	verdict := judge(key)
	if len(*known) < maxJudged {
		more := maps.Clone(*known)
		more[key] = verdict
		judged.CompareAndSwap(known, &more)
	}
	return verdict
}

// judged remembers keys, which are few and in the code; every record asks for
// all of its own.
var judged = func() *atomic.Pointer[map[string]bool] {
	p := &atomic.Pointer[map[string]bool]{}
	p.Store(&map[string]bool{})
	return p
}()

// maxJudged bounds that memory should keys ever come from outside.
const maxJudged = 256

func judge(key string) bool {
	word := 0
	for i := 0; i <= len(key); i++ {
		if i < len(key) && !boundary(key, i) {
			continue
		}
		if sensitive[strings.ToLower(strings.Trim(key[word:i], "_-."))] {
			return true
		}
		word = i
	}
	return false
}

func boundary(s string, i int) bool {
	c := s[i]
	return c == '_' || c == '-' || c == '.' || c >= 'A' && c <= 'Z' && i > 0 && s[i-1] >= 'a' && s[i-1] <= 'z'
}

// oneLine keeps a message on its line in the console format, which does not
// quote messages.
func oneLine(s string) string {
	if strings.IndexFunc(s, isControl) < 0 {
		return s
	}
	return strings.Map(func(r rune) rune {
		if isControl(r) {
			return ' '
		}
		return r
	}, s)
}

func isControl(r rune) bool {
	return r < 0x20 || r == 0x7f || r == 0x2028 || r == 0x2029 || r >= 0x80 && r < 0xa0
}
