package smtp_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net"
	netmail "net/mail"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	gosmtp "github.com/emersion/go-smtp"

	"github.com/echo-users/echo-users/mail"
	"github.com/echo-users/echo-users/mail/smtp"
)

const username, password = "app", "correct horse battery"

// server is an SMTP server on loopback. It is its sessions' backend.
type server struct {
	addr   string
	config *tls.Config // for clients

	mu     sync.Mutex
	mails  []received
	logins int // that were tried
	// What it answers, where that is not nil.
	auth, rcpt, data error
	// entered hears of a mail's content, which is taken when hold is closed.
	entered, hold chan struct{}
}

type received struct {
	user, from, to string
	utf8, tls      bool
	content        []byte
}

type kind int

const (
	startTLS kind = iota
	implicitTLS
	plaintext
)

func serve(t *testing.T, k kind) *server {
	t.Helper()
	s := new(server)
	own := s.certify(t)
	backend := gosmtp.NewServer(gosmtp.BackendFunc(func(c *gosmtp.Conn) (gosmtp.Session, error) {
		_, encrypted := c.TLSConnectionState()
		return &session{server: s, mail: received{tls: encrypted}}, nil
	}))
	backend.Domain, backend.EnableSMTPUTF8 = "localhost", true
	backend.AllowInsecureAuth = true // whether it is sent is the client's part
	backend.ErrorLog = log.New(io.Discard, "", 0)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.addr = listener.Addr().String()
	switch k {
	case startTLS:
		backend.TLSConfig = own
	case implicitTLS:
		listener = tls.NewListener(listener, own)
	}
	go backend.Serve(listener)
	t.Cleanup(func() { backend.Close() })
	return s
}

// certify makes the server's certificate, and the config that trusts it.
func (s *server) certify(t *testing.T) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	s.config = &tls.Config{RootCAs: x509.NewCertPool()}
	s.config.RootCAs.AddCert(certificate)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
}

func (s *server) received() []received {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mails
}

type session struct {
	server *server
	mail   received
}

func (*session) Reset()        {}
func (*session) Logout() error { return nil }

func (*session) AuthMechanisms() []string { return []string{sasl.Plain} }

func (s *session) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, pass string) error {
		s.server.mu.Lock()
		s.server.logins++
		s.server.mu.Unlock()
		if s.server.auth != nil {
			return s.server.auth
		}
		if user != username || pass != password {
			return gosmtp.ErrAuthFailed
		}
		s.mail.user = user
		return nil
	}), nil
}

func (s *session) Mail(from string, opts *gosmtp.MailOptions) error {
	s.mail.from, s.mail.utf8 = from, opts.UTF8
	return nil
}

func (s *session) Rcpt(to string, _ *gosmtp.RcptOptions) error {
	s.mail.to = to
	return s.server.rcpt
}

func (s *session) Data(r io.Reader) error {
	content, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if s.server.entered != nil {
		s.server.entered <- struct{}{}
		<-s.server.hold
	}
	if s.server.data != nil {
		return s.server.data
	}
	s.mail.content = content
	s.server.mu.Lock()
	defer s.server.mu.Unlock()
	s.server.mails = append(s.server.mails, s.mail)
	return nil
}

func (s *server) mailer(t *testing.T, cfg smtp.Config) *smtp.Mailer {
	t.Helper()
	cfg.Addr = s.addr
	if cfg.From == "" {
		cfg.From = "Exämple <no-reply@example.com>"
	}
	mailer, err := smtp.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return mailer
}

var message = mail.Message{
	To: "ann@example.com", Subject: "Grüße aus Köln", Text: "Öffne:\n\nhttps://example.com/?token=secret\n.\nEnde\n", HTML: "<p>Öffne <a href='https://example.com/?token=secret'>dies</a>",
}

// discreet holds that an error tells no secrets.
func discreet(t *testing.T, err error) {
	t.Helper()
	if err == nil {
		t.Error("no error")
		return
	}
	for _, secret := range []string{password, "secret", "Öffne", "correct"} {
		if strings.Contains(err.Error(), secret) {
			t.Errorf("an error tells %q: %v", secret, err)
		}
	}
}

func TestMailsArrive(t *testing.T) {
	for _, c := range []struct {
		name string
		kind kind
		cfg  smtp.Config
	}{
		{"STARTTLS", startTLS, smtp.Config{}},
		{"STARTTLS, with a password", startTLS, smtp.Config{Username: username, Password: password}},
		{"implicit TLS", implicitTLS, smtp.Config{ImplicitTLS: true}},
		{"implicit TLS, with a password", implicitTLS, smtp.Config{ImplicitTLS: true, Username: username, Password: password}},
		{"plaintext", plaintext, smtp.Config{InsecurePlaintext: true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := serve(t, c.kind)
			if c.kind != plaintext {
				c.cfg.TLSConfig = s.config
			}
			if err := s.mailer(t, c.cfg).Send(t.Context(), message); err != nil {
				t.Fatal(err)
			}
			got := s.received()
			if len(got) != 1 {
				t.Fatalf("%d mails", len(got))
			}
			if m := got[0]; m.from != "no-reply@example.com" || m.to != "ann@example.com" || m.user != c.cfg.Username || m.tls != (c.kind != plaintext) || m.utf8 {
				t.Errorf("%+v", m)
			}
			checkContent(t, got[0].content)
		})
	}
}

func checkContent(t *testing.T, content []byte) {
	t.Helper()
	m, err := netmail.ReadMessage(bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	subject, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
	if err != nil || subject != message.Subject {
		t.Errorf("subject %q, %v", subject, err)
	}
	from, err := m.Header.AddressList("From")
	if err != nil || len(from) != 1 || from[0].Name != "Exämple" || from[0].Address != "no-reply@example.com" {
		t.Errorf("from %v, %v", from, err)
	}
	if _, err := m.Header.Date(); err != nil {
		t.Error(err)
	}
	for name, want := range map[string]string{"To": "<ann@example.com>", "Auto-Submitted": "auto-generated", "User-Agent": "", "X-Mailer": ""} {
		if got := m.Header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if id := m.Header.Get("Message-ID"); !strings.HasSuffix(id, "@example.com>") || len(id) < 30 {
		t.Errorf("Message-ID %q", id)
	}
	for i, c := range content {
		if c >= 0x80 {
			t.Fatalf("byte %d is %#x: not every server takes that", i, c)
		}
	}
	media, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil || media != "multipart/alternative" {
		t.Fatal(media, err)
	}
	parts := multipart.NewReader(m.Body, params["boundary"])
	for _, want := range []struct{ media, text string }{{"text/plain", message.Text}, {"text/html", message.HTML}} {
		part, err := parts.NextRawPart()
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(quotedprintable.NewReader(part))
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.ReplaceAll(string(text), "\r\n", "\n"); strings.TrimSpace(got) != strings.TrimSpace(want.text) {
			t.Errorf("%s: %q, want %q", want.media, got, want.text)
		}
		if got := part.Header.Get("Content-Type"); !strings.HasPrefix(got, want.media+"; charset=UTF-8") {
			t.Errorf("content type %q", got)
		}
	}
}

func TestNothingIsSentUnencrypted(t *testing.T) {
	login := smtp.Config{Username: username, Password: password}
	for _, c := range []struct {
		name string
		kind kind
		cfg  smtp.Config
		with func(*server, *smtp.Config)
	}{
		{"a certificate of nobody's", startTLS, login, func(*server, *smtp.Config) {}},
		{"a certificate of another name", startTLS, login, func(s *server, cfg *smtp.Config) {
			cfg.TLSConfig = s.config
			cfg.TLSConfig.ServerName = "mail.example.com"
		}},
		{"no STARTTLS", plaintext, login, func(s *server, cfg *smtp.Config) { cfg.TLSConfig = s.config }},
		{"implicit TLS, a certificate of nobody's", implicitTLS, login, func(_ *server, cfg *smtp.Config) { cfg.ImplicitTLS = true }},
		{"implicit TLS with a server that speaks plaintext", plaintext, login, func(s *server, cfg *smtp.Config) {
			cfg.ImplicitTLS, cfg.TLSConfig, cfg.Timeout = true, s.config, 300*time.Millisecond
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := serve(t, c.kind)
			c.with(s, &c.cfg)
			discreet(t, s.mailer(t, c.cfg).Send(t.Context(), message))
			if got := s.received(); len(got) > 0 || s.logins > 0 {
				t.Errorf("received %+v and %d passwords", got, s.logins)
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	refuse := func(code int, enhanced gosmtp.EnhancedCode) error {
		return &gosmtp.SMTPError{Code: code, EnhancedCode: enhanced, Message: "Öffne token=secret is spam, " + password}
	}
	for _, c := range []struct {
		name string
		cfg  smtp.Config
		set  func(*server)
		want string
	}{
		{"a wrong password", smtp.Config{Username: username, Password: "correct"}, func(*server) {}, "535"},
		{"a talkative server", smtp.Config{Username: username, Password: password}, func(s *server) { s.auth = refuse(535, gosmtp.EnhancedCode{5, 7, 8}) }, "535"},
		{"the recipient", smtp.Config{}, func(s *server) { s.rcpt = refuse(550, gosmtp.EnhancedCode{5, 1, 1}) }, "550 5.1.1"},
		{"the content", smtp.Config{}, func(s *server) { s.data = refuse(554, gosmtp.EnhancedCode{5, 7, 1}) }, "554 5.7.1"},
		{"later", smtp.Config{}, func(s *server) { s.data = refuse(451, gosmtp.EnhancedCode{4, 7, 1}) }, "451 4.7.1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := serve(t, startTLS)
			c.cfg.TLSConfig = s.config
			c.set(s)
			err := s.mailer(t, c.cfg).Send(t.Context(), message)
			discreet(t, err)
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), s.addr) {
				t.Errorf("%v, want %s", err, c.want)
			}
			if got := s.received(); len(got) > 0 {
				t.Errorf("received %+v", got)
			}
		})
	}
}

// silent is a server that says these lines, one before the first command and
// one for each, and hands out its connections when it has no more to say.
func silent(t *testing.T, lines ...string) (addr string, accepted chan net.Conn) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	accepted = make(chan net.Conn, 9)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { accepted <- conn }()
				_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
				commands := bufio.NewReader(conn)
				for _, line := range lines {
					fmt.Fprintf(conn, "%s\r\n", line)
					if _, err := commands.ReadString('\n'); err != nil {
						return
					}
				}
			}()
		}
	}()
	return listener.Addr().String(), accepted
}

func TestSilentServers(t *testing.T) {
	for _, lines := range [][]string{nil, {"220 hello"}, {"220 hello", "250-hello\r\n250 STARTTLS"}} {
		for _, implicit := range []bool{false, true} {
			if implicit && lines != nil {
				continue
			}
			addr, accepted := silent(t, lines...)
			cfg := smtp.Config{Addr: addr, From: "a@example.com", ImplicitTLS: implicit}

			mailer, err := smtp.New(cfg)
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			failed := make(chan error)
			go func() { failed <- mailer.Send(ctx, message) }()
			conn := <-accepted
			cancel()
			if err := <-failed; !errors.Is(err, context.Canceled) {
				t.Errorf("after %d lines, cancelled: %v", len(lines), err)
			}
			ends(t, conn)

			cfg.Timeout = 50 * time.Millisecond
			if mailer, err = smtp.New(cfg); err != nil {
				t.Fatal(err)
			}
			if err := mailer.Send(t.Context(), message); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("after %d lines, timeout: %v", len(lines), err)
			}
		}
	}
}

// ends holds that the client has closed a connection.
func ends(t *testing.T, conn net.Conn) {
	t.Helper()
	defer conn.Close()
	if _, err := io.Copy(io.Discard, conn); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the connection is left open")
	}
}

func TestConnectionsEndWithFailures(t *testing.T) {
	for _, lines := range [][]string{
		{"554 no"}, // as a greeting
		{"220 hello", "250 no STARTTLS"},
		{"220 hello", "250-hello\r\n250 STARTTLS", "454 not now"},
	} {
		addr, accepted := silent(t, lines...)
		s := &server{addr: addr}
		discreet(t, s.mailer(t, smtp.Config{}).Send(t.Context(), message))
		ends(t, <-accepted)
	}
}

func TestServerHoldsOnToAMail(t *testing.T) {
	s := serve(t, startTLS)
	s.entered, s.hold = make(chan struct{}), make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error)
	go func() { failed <- s.mailer(t, smtp.Config{TLSConfig: s.config}).Send(ctx, message) }()
	<-s.entered
	cancel()
	err := <-failed
	close(s.hold)
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	discreet(t, err)
}

func TestNobodyListens(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &server{addr: listener.Addr().String()}
	listener.Close()
	discreet(t, s.mailer(t, smtp.Config{}).Send(t.Context(), message))
}

func TestAServerOfAnotherKind(t *testing.T) {
	addr, _ := silent(t, "token=secret")
	s := &server{addr: addr}
	discreet(t, s.mailer(t, smtp.Config{}).Send(t.Context(), message))
}

func TestHeadersAreNotForRecipients(t *testing.T) {
	s := serve(t, startTLS)
	mailer := s.mailer(t, smtp.Config{TLSConfig: s.config})
	for _, to := range []string{
		"", "ann", "Ann <ann@example.com>", "<ann@example.com>", "ann@example.com, bob@example.com", "ann@example.com\r\nBcc: bob@example.com",
		"ann@example.com\n", " ann@example.com", "ann@example.com>", "ann@example.com> ORCPT=bob@example.com",
		`"ann> ORCPT=bob@example.com"@example.com`, `"ann@example.com> NOTIFY=NEVER"@example.com`, `"a b"@example.com`, "ann@[127.0.0.1]", "ann\x00@example.com",
	} {
		m := message
		m.To = to
		if err := mailer.Send(t.Context(), m); err == nil || to != "" && strings.Contains(err.Error(), to) {
			t.Errorf("to %q: %v", to, err)
		}
	}
	for _, subject := range []string{"a\r\nBcc: bob@example.com", "a\nb", "a\rb", "a\x00b", "a\u0085b"} {
		m := message
		m.Subject = subject
		if err := mailer.Send(t.Context(), m); err == nil {
			t.Errorf("subject %q", subject)
		}
	}
	if got := s.received(); len(got) > 0 {
		t.Errorf("received %+v", got)
	}
}

func TestAddressesInUTF8(t *testing.T) {
	s := serve(t, startTLS)
	m := message
	m.To = "änn@example.com"
	if err := s.mailer(t, smtp.Config{TLSConfig: s.config}).Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	if got := s.received(); len(got) != 1 || !got[0].utf8 || got[0].to != m.To {
		t.Errorf("received %+v", got)
	}
}

func TestManyAtOnce(t *testing.T) {
	s := serve(t, startTLS)
	mailer := s.mailer(t, smtp.Config{TLSConfig: s.config, Username: username, Password: password})
	var group sync.WaitGroup
	for i := range 20 {
		group.Go(func() {
			m := message
			m.To = fmt.Sprintf("ann%d@example.com", i)
			if err := mailer.Send(t.Context(), m); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	to := map[string]bool{}
	for _, m := range s.received() {
		to[m.to] = true
	}
	if len(to) != 20 {
		t.Errorf("%d mails arrived", len(to))
	}
}

func TestFaultyConfigsAreErrors(t *testing.T) {
	good := smtp.Config{Addr: "mail.example.com:587", From: "a@example.com"}
	if _, err := smtp.New(good); err != nil {
		t.Fatal(err)
	}
	for what, change := range map[string]func(*smtp.Config){
		"no address":               func(c *smtp.Config) { c.Addr = "" },
		"no port":                  func(c *smtp.Config) { c.Addr = "mail.example.com" },
		"no host":                  func(c *smtp.Config) { c.Addr = ":587" },
		"no sender":                func(c *smtp.Config) { c.From = "" },
		"a sender with a line end": func(c *smtp.Config) { c.From = "a\r\nBcc: b@example.com <a@example.com>" },
		"a quoted sender":          func(c *smtp.Config) { c.From = `"a> b"@example.com` },
		"no password":              func(c *smtp.Config) { c.Username = "app" },
		"no username":              func(c *smtp.Config) { c.Password = password },
		"a password in the clear": func(c *smtp.Config) {
			c.InsecurePlaintext, c.Username, c.Password = true, "app", password
		},
		"TLS and plaintext":  func(c *smtp.Config) { c.InsecurePlaintext, c.ImplicitTLS = true, true },
		"a negative timeout": func(c *smtp.Config) { c.Timeout = -1 },
		"a faulty name":      func(c *smtp.Config) { c.Hello = "a\r\nMAIL" },
	} {
		cfg := good
		change(&cfg)
		_, err := smtp.New(cfg)
		discreet(t, err)
		if err == nil {
			t.Errorf("%s is accepted", what)
		}
	}
}
