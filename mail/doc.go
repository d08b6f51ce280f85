// Package mail sends the mails that users get: a welcome, the links that
// verify an address or reset a password, and notices of what was changed.
//
//	mails, err := mail.New(users, mailer, "https://app.example.com", mail.Config[*AppUser]{App: "Example"})
//	users.Use(mails.Hooks())
//
// A [Mailer] takes them away: that of package mail/smtp, [Printer] while you
// develop, or one of your own. Links are built from the configured public URL
// alone, never from a request, and lead to a page where a button uses the
// token: opening one uses nothing up. Package routes/pages has such pages.
//
// The mails are templates, in English unless [Config] has others.
package mail
