// Package smtp hands mails to a mail server: the [mail.Mailer] for production,
// over github.com/wneessen/go-mail.
//
//	mailer, err := smtp.New(smtp.Config{
//		Addr:     "mail.example.com:587",
//		Username: "app", Password: os.Getenv("SMTP_PASSWORD"),
//		From:     "Example <no-reply@example.com>",
//	})
//
// Connections are encrypted and the server's certificate is verified: the
// mails have tokens in them.
package smtp

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/mail"
	"net/textproto"
	"strings"
	"time"
	"unicode"

	gomail "github.com/wneessen/go-mail"
	gosmtp "github.com/wneessen/go-mail/smtp"

	echomail "github.com/echo-users/echo-users/mail"
)

// Config has the options of [New]. Addr and From are required.
type Config struct {
	// Addr is the mail server's host and port: "mail.example.com:587".
	Addr string
	// Username and Password are what the server knows the application by.
	// Defaults to none.
	Username, Password string
	// From is the sender: "no-reply@example.com" or "Example <no-reply@example.com>".
	From string
	// Hello is the name by which this machine presents itself. Defaults to its
	// host name.
	Hello string

	// ImplicitTLS is for servers that speak TLS from the first byte on, mostly
	// at port 465. Without it, STARTTLS must succeed before anything is sent.
	ImplicitTLS bool
	// InsecurePlaintext sends mails, and the tokens in them, for everybody on
	// the way to read. It is for a server on this machine, and refuses a password.
	InsecurePlaintext bool
	// TLSConfig has authorities of one's own, or a client's certificate. Defaults
	// to the authorities of the system, and to the name in Addr.
	TLSConfig *tls.Config
	// Timeout is how long a mail may take, from the look-up of the server's name
	// to its acceptance. A context that ends before ends it before. Defaults to
	// 30 seconds.
	Timeout time.Duration
}

// Mailer sends each mail over a connection of its own. Safe for concurrent
// use. Its errors tell the server's codes, and nothing of what it says of a mail
// or a password, for it may quote them.
type Mailer struct {
	cfg     Config
	host    string
	from    *mail.Address
	options []gomail.Option
}

var _ echomail.Mailer = (*Mailer)(nil)

// New returns a mailer, or an error that says what is wrong with the options.
// It doesn't connect.
func New(cfg Config) (*Mailer, error) {
	host, port, err := net.SplitHostPort(cfg.Addr)
	if err != nil || host == "" || port == "" {
		return nil, fmt.Errorf("smtp: the address %q must be a host and a port, such as mail.example.com:587", cfg.Addr)
	}
	from, err := mail.ParseAddress(cfg.From)
	if err != nil {
		return nil, fmt.Errorf("smtp: the sender %q must be an address, such as Example <no-reply@example.com>: %w", cfg.From, err)
	}
	if strings.ContainsFunc(from.Name, unicode.IsControl) || !isPlain(from.Address) {
		return nil, fmt.Errorf("smtp: the sender %q has characters that no header may have", cfg.From)
	}
	switch {
	case (cfg.Username == "") != (cfg.Password == ""):
		return nil, errors.New("smtp: a username needs a password, and a password a username")
	case cfg.InsecurePlaintext && cfg.Username != "":
		return nil, errors.New("smtp: no password is sent over a connection that isn't encrypted: take InsecurePlaintext away")
	case cfg.InsecurePlaintext && (cfg.ImplicitTLS || cfg.TLSConfig != nil):
		return nil, errors.New("smtp: InsecurePlaintext has no TLS")
	case cfg.Timeout < 0:
		return nil, errors.New("smtp: the timeout is negative")
	case strings.ContainsFunc(cfg.Hello, func(r rune) bool { return r <= ' ' || r >= 0x7f }):
		return nil, fmt.Errorf("smtp: the name %q is no host name", cfg.Hello)
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = 30 * time.Second
	}
	if cfg.TLSConfig == nil {
		cfg.TLSConfig = new(tls.Config)
	} else {
		cfg.TLSConfig = cfg.TLSConfig.Clone()
	}
	if cfg.TLSConfig.ServerName == "" {
		cfg.TLSConfig.ServerName = host
	}
	m := &Mailer{cfg: cfg, host: host, from: from}
	m.options = []gomail.Option{
		gomail.WithTimeout(2 * cfg.Timeout), // Send's context ends before
		gomail.WithTLSConfig(cfg.TLSConfig),
		gomail.WithTLSPolicy(gomail.TLSMandatory),
		// An error of what follows an accepted mail would have it sent again.
		gomail.WithoutNoop(), gomail.WithoutRset(),
	}
	if cfg.ImplicitTLS || cfg.InsecurePlaintext {
		m.options = append(m.options, gomail.WithTLSPolicy(gomail.NoTLS)) // dial has it, if anybody
	}
	if cfg.Hello != "" {
		m.options = append(m.options, gomail.WithHELO(cfg.Hello))
	}
	if cfg.Username != "" {
		m.options = append(m.options,
			gomail.WithUsername(cfg.Username), gomail.WithPassword(cfg.Password),
			gomail.WithOpportunisticSMTPAuth(gomail.SMTPAuthSCRAMSHA256, gomail.SMTPAuthSCRAMSHA1, gomail.SMTPAuthPlain, gomail.SMTPAuthLogin))
	}
	_, err = gomail.NewClient(host, m.options...)
	if err != nil {
		return nil, fmt.Errorf("smtp: %w", err)
	}
	return m, nil
}

// Send returns when the server has accepted the mail.
func (m *Mailer) Send(ctx context.Context, message echomail.Message) error {
	composed, err := m.compose(message)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, m.cfg.Timeout)
	defer cancel()
	options := append(m.options[:len(m.options):len(m.options)], gomail.WithDialContextFunc(func(dialing context.Context, _, _ string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(dialing, "tcp", m.cfg.Addr)
		if err != nil {
			return nil, err
		}
		// At the end of Send, too: go-mail leaves it open where it fails.
		context.AfterFunc(ctx, func() { _ = conn.Close() })
		if !m.cfg.ImplicitTLS {
			return conn, nil
		}
		encrypted := tls.Client(conn, m.cfg.TLSConfig)
		return encrypted, encrypted.HandshakeContext(dialing)
	}))
	if isASCII(message.To) && isASCII(m.from.Address) {
		// The next server may not know SMTPUTF8, for which nothing needs it.
		options = append(options, gomail.WithoutSMTPUTF8())
	}
	client, err := gomail.NewClient(m.host, options...)
	if err != nil {
		return fmt.Errorf("smtp: %w", err)
	}
	server, err := client.DialToSMTPClientWithContext(ctx)
	if err != nil {
		return m.failure(ctx, "no connection", err)
	}
	if err := client.SendWithSMTPClient(server, composed); err != nil {
		return m.failure(ctx, "the mail was not accepted", err)
	}
	_ = server.Quit() // the mail is the server's by now
	return nil
}

// compose makes what is sent, or an error that doesn't repeat what is wrong.
func (m *Mailer) compose(message echomail.Message) (*gomail.Msg, error) {
	to, err := mail.ParseAddress(message.To)
	if err != nil || to.Name != "" || to.Address != message.To || !isPlain(message.To) {
		return nil, errors.New("smtp: the recipient is no bare address")
	}
	if strings.ContainsFunc(message.Subject, unicode.IsControl) {
		return nil, errors.New("smtp: the subject has a control character")
	}
	composed := gomail.NewMsg(gomail.WithNoDefaultUserAgent())
	composed.FromMailAddress(m.from)
	composed.ToMailAddress(to)
	composed.Subject(message.Subject)
	composed.SetDate()
	composed.SetMessageIDWithValue(rand.Text() + m.from.Address[strings.LastIndexByte(m.from.Address, '@'):])
	composed.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834 §5
	composed.SetBodyString(gomail.TypeTextPlain, message.Text)
	if message.HTML != "" {
		composed.AddAlternativeString(gomail.TypeTextHTML, message.HTML)
	}
	return composed, nil
}

// failure tells what went wrong, without words of the server's that may quote
// what it got.
func (m *Mailer) failure(ctx context.Context, what string, err error) error {
	what = "smtp: " + m.cfg.Addr + ": " + what
	var refused *gomail.SendError
	var reply *textproto.Error
	var garbled textproto.ProtocolError
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("%s: %w", what, ctx.Err())
	case errors.As(err, &refused) && refused.ErrorCode() != 0:
		return fmt.Errorf("%s: %s: %s", what, refused.Reason, strings.TrimSpace(fmt.Sprint(refused.ErrorCode(), " ", refused.EnhancedStatusCode())))
	case errors.As(err, &refused):
		return fmt.Errorf("%s: %s", what, refused.Reason)
	case errors.As(err, &reply) && reply.Code == 535: // RFC 4954 §6
		return fmt.Errorf("%s: the username or the password is wrong: %d", what, reply.Code)
	case errors.As(err, &reply):
		return fmt.Errorf("%s: the server answered %d", what, reply.Code)
	case errors.As(err, &garbled), errors.Is(err, gosmtp.ErrUnexpectedServerResponse):
		return fmt.Errorf("%s: the server doesn't speak SMTP", what)
	}
	return fmt.Errorf("%s: %w", what, err)
}

// isPlain reports whether an address can stand in a header and in a command as
// it is: no quoted local part, and nothing that ends something.
func isPlain(address string) bool {
	return !strings.ContainsAny(address, "\"\\<>(),;: []") && !strings.ContainsFunc(address, unicode.IsControl)
}

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r >= 0x80 })
}
