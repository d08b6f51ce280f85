package mail

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	htmltemplate "html/template"
	"io/fs"
	"iter"
	"path"
	"slices"
	"strings"
	texttemplate "text/template"
	"unicode"

	"github.com/echo-users/echo-users/authn"
)

// The mails, by the names of their files.
const (
	kindWelcome         = "welcome"
	kindVerify          = "verify"
	kindReset           = "reset"
	kindPasswordChanged = "password-changed"
	kindEmailChanged    = "email-changed"
	kindNewDevice       = "new-device"
	kindAccountLinked   = "account-linked"
	kindAccountUnlinked = "account-unlinked"
)

var kinds = []string{
	kindWelcome, kindVerify, kindReset, kindPasswordChanged, kindEmailChanged, kindNewDevice, kindAccountLinked, kindAccountUnlinked,
}

// notices are the mails of notices.
var notices = map[authn.NoticeKind]string{
	authn.PasswordChanged: kindPasswordChanged,
	authn.EmailChanged:    kindEmailChanged,
	authn.NewDevice:       kindNewDevice,
	authn.AccountLinked:   kindAccountLinked,
	authn.AccountUnlinked: kindAccountUnlinked,
}

// english is the language that has every mail.
const english = "en"

//go:embed templates
var builtIn embed.FS

// letter is the templates of one mail in one language.
type letter struct {
	subject, text *texttemplate.Template
	html          *htmltemplate.Template // nil for text alone
}

// letters are the templates of each language (in lower case) and kind.
type letters map[string]map[string]letter

// newLetters reads the built-in templates, and the application's over them.
func newLetters(own fs.FS) (letters, error) {
	all := letters{}
	root, err := fs.Sub(builtIn, "templates")
	if err == nil {
		err = all.read(root)
	}
	if err == nil && own != nil {
		err = all.read(own)
	}
	return all, err
}

func (all letters) read(files fs.FS) error {
	names, err := fs.Glob(files, "*/*")
	if err != nil {
		return err
	}
	found := false
	for _, name := range names {
		language, file := path.Split(name)
		kind, extension := strings.TrimSuffix(file, path.Ext(file)), path.Ext(file)
		if extension != ".txt" && extension != ".html" {
			continue
		}
		if !slices.Contains(kinds, kind) {
			return fmt.Errorf("mail: the template %s is for no mail: there are %s", name, strings.Join(kinds, ", "))
		}
		if extension == ".html" {
			if _, err := fs.Stat(files, strings.TrimSuffix(name, extension)+".txt"); err != nil {
				return fmt.Errorf("mail: the template %s needs a text beside it, with the subject: %w", name, err)
			}
			continue
		}
		language = strings.ToLower(strings.TrimSuffix(language, "/"))
		if all[language] == nil {
			all[language] = map[string]letter{}
		}
		if all[language][kind], err = readLetter(files, strings.TrimSuffix(name, extension)); err != nil {
			return fmt.Errorf("mail: the template %w", err)
		}
		found = true
	}
	if !found {
		return errors.New("mail: Config.Templates has no <language>/<kind>.txt: with go:embed, the folder's name is cut off by fs.Sub")
	}
	return nil
}

func readLetter(files fs.FS, name string) (letter, error) {
	source, err := fs.ReadFile(files, name+".txt")
	if err != nil {
		return letter{}, err
	}
	first, body, _ := strings.Cut(strings.ReplaceAll(string(source), "\r\n", "\n"), "\n")
	first, ok := strings.CutPrefix(first, "Subject:")
	if !ok {
		return letter{}, fmt.Errorf(`%s.txt must begin with a line "Subject: …"`, name)
	}
	var l letter
	if l.subject, err = texttemplate.New(name + ".txt").Parse(first); err != nil {
		return letter{}, err
	}
	if l.text, err = texttemplate.New(name + ".txt").Parse(strings.TrimLeft(body, "\n")); err != nil {
		return letter{}, err
	}
	source, err = fs.ReadFile(files, name+".html")
	if errors.Is(err, fs.ErrNotExist) {
		return l, nil
	}
	if err == nil {
		l.html, err = htmltemplate.New(name + ".html").Parse(string(source))
	}
	return l, err
}

// of returns a mail in this language, or in the nearest one that has it.
func (all letters) of(kind string, languages ...string) letter {
	for _, language := range append(languages, english) {
		for tag := range wider(language) {
			if l, ok := all[tag][kind]; ok {
				return l
			}
		}
	}
	panic("mail: no English template for " + kind)
}

// have reports whether there is any mail in this language, or none is asked for.
func (all letters) have(language string) bool {
	for tag := range wider(language) {
		if all[tag] != nil {
			return true
		}
	}
	return language == ""
}

// wider yields a language tag and those that it is a part of (RFC 4647 §3.4).
func wider(language string) iter.Seq[string] {
	return func(yield func(string) bool) {
		tag := strings.ToLower(strings.ReplaceAll(language, "_", "-"))
		for tag != "" && yield(tag) {
			tag = tag[:max(0, strings.LastIndexByte(tag, '-'))]
		}
	}
}

// render makes the mail.
func (l letter) render(to string, data any) (Message, error) {
	var subject, text, html bytes.Buffer
	err := errors.Join(l.subject.Execute(&subject, data), l.text.Execute(&text, data))
	if err == nil && l.html != nil {
		err = l.html.Execute(&html, data)
	}
	if err != nil {
		return Message{}, err
	}
	m := Message{To: to, Subject: oneLine(subject.String()), Text: text.String(), HTML: html.String()}
	if m.Subject == "" {
		return Message{}, fmt.Errorf("template: %s: the subject is empty", l.subject.Name())
	}
	return m, nil
}

// oneLine makes all white space and whatever ends a line for somebody one
// blank each (RFC 5322 §2.2).
func oneLine(s string) string {
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r)
	}), " ")
}
