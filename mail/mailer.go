package mail

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"unicode"
)

// Message is a mail to one address. It prints and logs without its content,
// which may have a token in it.
type Message struct {
	// To is a bare address: ann@example.com.
	To string
	// Subject is one line.
	Subject string
	// Text is the plain text, with "\n" at the end of lines.
	Text string
	// HTML is the same as a document; empty for a mail of text alone.
	HTML string
}

// Format prints the address and the subject, whatever the verb.
func (m Message) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "[mail to %s: %s]", m.To, m.Subject)
}

// LogValue returns the address and the subject.
func (m Message) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(m)) }

// Mailer sends mails. Implementations are safe for concurrent use, end when
// ctx ends, and put nothing of a mail's content into their errors, which are
// logged.
type Mailer interface {
	// Send returns when somebody else is responsible for the mail, such as a
	// mail server that has accepted it, or with an error, after which it may be
	// called again with the same mail.
	Send(ctx context.Context, m Message) error
}

// Printer returns a mailer for development, which prints the text of each mail
// and sends nothing. What it prints is as good as a password: never use it
// where others read the output. Safe for concurrent use.
func Printer(w io.Writer) Mailer { return &printer{w: w} }

type printer struct {
	mu sync.Mutex
	w  io.Writer
}

func (p *printer) Send(_ context.Context, m Message) error {
	text := fmt.Sprintf("\n--- mail ---\nTo: %s\nSubject: %s\n\n%s\n---\n", m.To, m.Subject, strings.TrimRight(m.Text, "\n"))
	p.mu.Lock()
	defer p.mu.Unlock()
	_, err := io.WriteString(p.w, strings.Map(printable, text))
	return err
}

// printable drops what a terminal would obey.
func printable(r rune) rune {
	if unicode.IsControl(r) && r != '\n' && r != '\t' {
		return -1
	}
	return r
}
