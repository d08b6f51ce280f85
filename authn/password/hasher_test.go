package password

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"golang.org/x/crypto/bcrypt"
)

// cheap keeps the tests fast.
var cheap = Params{Memory: 64, Time: 1, Threads: 1}

const (
	nfc = "p\u00e4ssw\u00f6rd"
	nfd = "pa\u0308sswo\u0308rd"

	// Made by libargon2 with the cheap parameters.
	hashOfNFC   = "$argon2id$v=19$m=64,t=1,p=1$fKFQb68aB6JAK+mJW3U+5A$BsENFPEzQT3AWhUEPFI4vk97uIFTuu1hAkTX0FQRt6A"
	hashOfNFD   = "$argon2id$v=19$m=64,t=1,p=1$/+aZsapy8IC1zdTBcX+VcQ$IysOc0FgNu+NBKJGNCezVASoyCWG/t1TpEuQd/MRqBc"
	hashOfNUL   = "$argon2id$v=19$m=64,t=1,p=1$O65Qw67h85jV1he7nBLbow$GGLYvuvB4Bo5DYl06eUFlwjZY5bSFnrprTHsXmbgYT4"
	hashOfEmpty = "$argon2id$v=19$m=64,t=1,p=1$+amerZYlI+CX6ZRIJ+viNw$WG/2OGY35kh5qQdQvUihgZP6JU0V6uv4nhBOPR65JlY"
	longest     = "$argon2id$v=19$m=64,t=1,p=1$eDMuRO5u7NJ2+NFXEdGFrmXjDRpRTkKmumRxHcYFUVxv5AG0HZCnLY6eNpalQnqe8d4NUq8SJogyny+BtNpA1A$WS2MdNuCzgmHgYbopV04rxw7aAPvZeOMSx2Cmi4YPtdk/S2ileWOWGouUOJYfRhcdEHFX79fKPY1r89DXVkwrA"
	shortest    = "$argon2id$v=19$m=64,t=1,p=1$jaVuyxnd/eE$ITMYUwXP1zwG7rIFvzTLXA"
	ofArgon2i   = "$argon2i$v=19$m=256,t=2,p=2$O7vTwmsjelxv4J65$FDeRRQqzLRa5swhQlofifgqiL/L77EwW"
	cheap2i     = "$argon2i$v=19$m=64,t=1,p=1$XnbnGMHnQ69CdppD1iVhqA$2c1IWB5aM3Uy0OqrwExJrWzrpzxET1kNkGNPD2Xiq3k"
	ofArgon2d   = "$argon2d$v=19$m=256,t=2,p=2$nyXgTD5rL+nSOmm/SWI2ww$O9Qdojn/JVldNQ1BNBnCimFE/tMU86+z9PGn0agSrUI"

	ofBcrypt2a = "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"
)

// counting returns a Hasher with the cheap parameters, and how many hashes it
// has computed.
func counting() (*Hasher, *atomic.Int64) {
	n := new(atomic.Int64)
	return &Hasher{Params: cheap, computing: func() { n.Add(1) }}, n
}

func verify(t *testing.T, h *Hasher, password, hash string) (match, outdated bool) {
	t.Helper()
	match, outdated, err := h.Verify(t.Context(), password, hash)
	if err != nil {
		t.Fatal(err)
	}
	return match, outdated
}

func TestVerifiesTheHashesOfOthers(t *testing.T) {
	for _, c := range []struct{ by, password, hash string }{
		{"fastapi-users 12 with passlib", "guinevere", "$2b$12$JRdB6/IMlYPc/21taQJI3u.0nOwBUySOTow51aKIWIpFaq5/hqOkG"},
		{"the same, over 72 bytes", strings.Repeat("A", 80), "$2b$12$OeD0NxmYvR5Xm2W3o.oPTuePGRRq9X/5iWlF5ErlsrUSs2N0R0yx2"},
		{"the same with argon2-cffi", "grail grail grail", "$argon2id$v=19$m=102400,t=2,p=8$L13PO7pwvaCuWnTqoSfNig$qVggGrMYaHiep5zdaAGk2A"},
		{"the same, beyond ASCII", "p\u00e4ssw\u00f6rd-\u00e9\u4e2d\U0001f511", "$argon2id$v=19$m=102400,t=2,p=8$x3nDqZLZ+R6WHS3g4s8ubQ$OOK3RMqeLLBvS0H8q7Z4gQ"},
		{"libargon2 as pwdlib calls it", "herminetincture", "$argon2id$v=19$m=65536,t=3,p=4$tFhCmB2mIjislyw67iXXgw$IdCH6i1OXEqo1PcKVRQRz8cAIKTflqr3LhYd8qfA+Hg"},
		{"libargon2, argon2i", "grail", ofArgon2i},
		{"libargon2, the longest salt and key", "grail", longest},
		{"libargon2, the shortest salt and key", "grail", shortest},
		{"crypt_blowfish, $2a$", "U*U", ofBcrypt2a},
		{"libxcrypt, $2y$", nfc, "$2y$05$GrailGrailGrailGrailGuNHTfdiTVHmZ6H1p9EKjrMy1NNhAaQZC"},
	} {
		t.Run(c.by, func(t *testing.T) {
			t.Parallel() // some are slow
			if match, outdated := verify(t, &Hasher{Params: cheap}, c.password, c.hash); !match || !outdated {
				t.Errorf("match %t, outdated %t", match, outdated)
			}
		})
	}
}

func TestHashesWithTheDefaults(t *testing.T) {
	h := new(Hasher)
	hash, err := h.Hash(t.Context(), "guinevere")
	if err != nil {
		t.Fatal(err)
	}
	form := regexp.MustCompile(`^\$argon2id\$v=19\$m=19456,t=2,p=1\$[+/0-9A-Za-z]{22}\$[+/0-9A-Za-z]{43}$`)
	if !form.MatchString(hash) {
		t.Errorf("%s", hash)
	}
	if match, outdated := verify(t, h, "guinevere", hash); !match || outdated {
		t.Errorf("match %t, outdated %t", match, outdated)
	}
	if again, _ := h.Hash(t.Context(), "guinevere"); again == hash {
		t.Error("two hashes of one password are the same")
	}
	if h.gate.capacity < 1 {
		t.Error("the gate is closed")
	}
}

func TestZeroParamsTakeTheDefaultOneByOne(t *testing.T) {
	for _, c := range []struct {
		params Params
		prefix string
	}{
		{Params{Memory: 64}, "$argon2id$v=19$m=64,t=2,p=1$"},
		{Params{Time: 1}, "$argon2id$v=19$m=19456,t=1,p=1$"},
		{Params{Memory: 64, Time: 1, Threads: 2}, "$argon2id$v=19$m=64,t=1,p=2$"},
	} {
		hash, err := (&Hasher{Params: c.params}).Hash(t.Context(), "guinevere")
		if err != nil || !strings.HasPrefix(hash, c.prefix) {
			t.Errorf("%+v: %s, %v", c.params, hash, err)
		}
	}
}

func TestParamsOutOfBoundsHashNothing(t *testing.T) {
	for _, p := range []Params{
		{Memory: maxMemory + 1, Time: 1},
		{Memory: 64, Time: maxTime + 1},
		{Memory: 4096, Time: 1, Threads: maxThreads + 1},
		{Memory: maxMemory, Time: 3},
		{Memory: 7},
		{Memory: 31, Threads: 4},
	} {
		h, computed := counting()
		h.Params = p
		if _, err := h.Hash(t.Context(), "guinevere"); err == nil {
			t.Errorf("%+v: hashed", p)
		}
		if match, _, err := h.Verify(t.Context(), "grail", longest); match || err == nil {
			t.Errorf("%+v: verified", p)
		}
		if n := computed.Load(); n != 0 {
			t.Errorf("%+v: %d hashes computed", p, n)
		}
	}
}

func TestOutdated(t *testing.T) {
	for _, c := range []struct {
		name, password, hash string
		want                 bool
	}{
		{"none", nfc, hashOfNFC, false},
		{"salt and key", "grail", longest, true},
		{"argon2i with the same parameters", "grail", cheap2i, true},
		{"bcrypt", "U*U", ofBcrypt2a, true},
	} {
		match, outdated := verify(t, &Hasher{Params: cheap}, c.password, c.hash)
		if !match || outdated != c.want {
			t.Errorf("%s: match %t, outdated %t", c.name, match, outdated)
		}
	}
	for _, p := range []Params{{65, 1, 1}, {64, 2, 1}, {64, 1, 2}} {
		if match, outdated := verify(t, &Hasher{Params: p}, nfc, hashOfNFC); !match || !outdated {
			t.Errorf("%+v: match %t, outdated %t", p, match, outdated)
		}
	}
}

func TestAnyStringIsAPassword(t *testing.T) {
	h := &Hasher{Params: cheap}
	for _, c := range []struct{ password, hash string }{
		{"nul\x00nul", hashOfNUL},
		{"", hashOfEmpty},
	} {
		if match, _ := verify(t, h, c.password, c.hash); !match {
			t.Errorf("%q doesn't match", c.password)
		}
	}
	for _, password := range []string{"", "\x00", "a\x00b", "\xff\xfe", strings.Repeat("\U0001f511", 1000)} {
		hash, err := h.Hash(t.Context(), password)
		if err != nil {
			t.Fatal(err)
		}
		if match, outdated := verify(t, h, password, hash); !match || outdated {
			t.Errorf("%.20q: match %t, outdated %t", password, match, outdated)
		}
		if match, _ := verify(t, h, password+"\x00", hash); match {
			t.Errorf("%.20q: matches with a NUL after it", password)
		}
	}
}

func TestNormalisation(t *testing.T) {
	ofNFD, err := bcrypt.GenerateFromPassword([]byte(nfd), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, password, hash string
		want                 bool
		computations         int64
	}{
		{"composed, hash of composed", nfc, hashOfNFC, true, 1},
		{"composed, hash of decomposed", nfc, hashOfNFD, false, 1},
		{"decomposed, hash of composed", nfd, hashOfNFC, true, 2},
		{"decomposed, hash of decomposed", nfd, hashOfNFD, true, 2},
		{"decomposed, bcrypt of decomposed", nfd, string(ofNFD), true, 2},
		{"decomposed, another hash", nfd, hashOfNUL, false, 2},
		{"decomposed, another bcrypt hash", nfd, ofBcrypt2a, false, 2},
		{"decomposed, no hash", nfd, "", false, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			h, computed := counting()
			if match, _ := verify(t, h, c.password, c.hash); match != c.want {
				t.Errorf("match %t", match)
			}
			if n := computed.Load(); n != c.computations {
				t.Errorf("%d hashes computed, not %d", n, c.computations)
			}
		})
	}

	h := &Hasher{Params: cheap}
	hash, err := h.Hash(t.Context(), nfd)
	if err != nil {
		t.Fatal(err)
	}
	if match, _ := verify(t, h, nfc, hash); !match {
		t.Error("Hash doesn't hash the NFC form")
	}
}

func TestBcryptPasswords(t *testing.T) {
	hashOf := func(password string) string {
		hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
		if err != nil {
			t.Fatal(err)
		}
		return string(hash)
	}
	seventyTwo := strings.Repeat("0123456789ab", 6)
	for _, c := range []struct {
		name, password, hash string
		want                 bool
	}{
		{"72 bytes", seventyTwo, hashOf(seventyTwo), true},
		{"a 73rd byte", seventyTwo + "x", hashOf(seventyTwo), true},
		{"another 72nd byte", seventyTwo[:71] + "x", hashOf(seventyTwo), false},
		{"cut inside a letter", seventyTwo[:71] + "\u00e4", hashOf(seventyTwo[:71] + "\xc3"), true},
		{"repeated after a NUL", "a\x00a", hashOf("a"), false},
		{"nothing", "", hashOf(""), true},
		{"a NUL", "\x00", hashOf(""), false},
	} {
		if match, _ := verify(t, &Hasher{Params: cheap}, c.password, c.hash); match != c.want {
			t.Errorf("%s: match %t", c.name, match)
		}
	}
}

func TestUnusableHashes(t *testing.T) {
	const (
		salt = "/+aZsapy8IC1zdTBcX+VcQ"
		key  = "IysOc0FgNu+NBKJGNCezVASoyCWG/t1TpEuQd/MRqBc"
		tail = "$" + salt + "$" + key
		b53  = "CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"
	)
	for name, hash := range map[string]string{
		"empty":       "",
		"plain text":  "grail",
		"only dollar": "$$$$$",
		"pbkdf2":      "$pbkdf2-sha256$29000$mvN+T8n5H0Mo5fx/r1XqnQ$qZEoJfFWAYbSvrBm0DPJ4oUHn0Z7GbpZ9NNZQ4yWxuE",
		"django":      "argon2" + hashOfNFC,

		"argon2d":              ofArgon2d,
		"no version":           "$argon2id$m=64,t=1,p=1" + tail,
		"version 16":           "$argon2id$v=16$m=64,t=1,p=1" + tail,
		"version 019":          "$argon2id$v=019$m=64,t=1,p=1" + tail,
		"capitals":             "$Argon2id$v=19$m=64,t=1,p=1" + tail,
		"another order":        "$argon2id$v=19$t=1,m=64,p=1" + tail,
		"missing parameter":    "$argon2id$v=19$m=64,t=1" + tail,
		"further parameter":    "$argon2id$v=19$m=64,t=1,p=1,keyid=x" + tail,
		"leading zero":         "$argon2id$v=19$m=064,t=1,p=1" + tail,
		"plus":                 "$argon2id$v=19$m=+64,t=1,p=1" + tail,
		"minus":                "$argon2id$v=19$m=-64,t=1,p=1" + tail,
		"hexadecimal":          "$argon2id$v=19$m=0x40,t=1,p=1" + tail,
		"underscore":           "$argon2id$v=19$m=6_4,t=1,p=1" + tail,
		"space":                "$argon2id$v=19$m= 64,t=1,p=1" + tail,
		"other digits":         "$argon2id$v=19$m=\u0666\u0664,t=1,p=1" + tail,
		"overflow":             "$argon2id$v=19$m=4294967360,t=1,p=1" + tail,
		"overflow of threads":  "$argon2id$v=19$m=64,t=1,p=257" + tail,
		"padding":              "$argon2id$v=19$m=64,t=1,p=1$" + salt + "==$" + key + "=",
		"URL alphabet":         "$argon2id$v=19$m=64,t=1,p=1$" + strings.ReplaceAll(salt, "+", "-") + "$" + key,
		"bits in the padding":  "$argon2id$v=19$m=64,t=1,p=1$" + salt[:21] + "R$" + key,
		"line break inside":    "$argon2id$v=19$m=64,t=1,p=1$" + salt + "\n$" + key,
		"line break after":     hashOfNFC + "\n",
		"space before":         " " + hashOfNFC,
		"NUL after":            hashOfNFC + "\x00",
		"a further part":       hashOfNFC + "$",
		"no salt":              "$argon2id$v=19$m=64,t=1,p=1$$" + key,
		"no key":               "$argon2id$v=19$m=64,t=1,p=1$" + salt + "$",
		"salt of 7":            "$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbA$" + key,
		"key of 15":            "$argon2id$v=19$m=64,t=1,p=1$" + salt + "$" + strings.Repeat("A", 20),
		"salt of 65":           "$argon2id$v=19$m=64,t=1,p=1$" + strings.Repeat("A", 87) + "$" + key,
		"key of 65":            "$argon2id$v=19$m=64,t=1,p=1$" + salt + "$" + strings.Repeat("A", 87),
		"no time":              "$argon2id$v=19$m=64,t=0,p=1" + tail,
		"no threads":           "$argon2id$v=19$m=64,t=1,p=0" + tail,
		"less than 8 a thread": "$argon2id$v=19$m=64,t=1,p=9" + tail,

		"all memory":                  "$argon2id$v=19$m=4294967295,t=1,p=1" + tail,
		"too much memory":             "$argon2id$v=19$m=524289,t=1,p=1" + tail,
		"all time":                    "$argon2id$v=19$m=64,t=4294967295,p=1" + tail,
		"too much time":               "$argon2id$v=19$m=64,t=17,p=1" + tail,
		"too many threads":            "$argon2id$v=19$m=4096,t=1,p=65" + tail,
		"too much of both":            "$argon2id$v=19$m=524288,t=3,p=4" + tail,
		"an argon2i that's expensive": "$argon2i$v=19$m=4294967295,t=4294967295,p=1" + tail,
		"a long string":               "$argon2id$v=19$m=64,t=1,p=1$" + salt + "$" + strings.Repeat("A", 1<<20),

		"bcrypt 2x":              "$2x$05$" + b53,
		"bcrypt 2":               "$2$05$" + b53,
		"bcrypt cost 3":          "$2b$03$" + b53,
		"bcrypt cost 17":         "$2b$17$" + b53,
		"bcrypt cost 31":         "$2b$31$" + b53,
		"bcrypt cost 99":         "$2b$99$" + b53,
		"bcrypt cost of a digit": "$2b$5$" + b53,
		"bcrypt short":           "$2b$05$" + b53[1:],
		"bcrypt long":            "$2b$05$" + b53 + "a",
		"bcrypt line break":      "$2b$05$" + b53 + "\n",
		"bcrypt alphabet":        "$2b$05$+" + b53[1:],
		"bcrypt with SHA-256":    "$bcrypt-sha256$v=2,t=2b,r=12$n79VH.0Q2TMWmt3Oqt9uku$Kq4Noyk3094Y2QlB8NdRT8SvGiI4ft2",
	} {
		t.Run(name, func(t *testing.T) {
			h, computed := counting()
			if _, usable := parse(hash); usable {
				t.Fatal("usable")
			}
			for _, password := range []string{"", "grail", "U*U"} {
				before := computed.Load()
				if match, outdated := verify(t, h, password, hash); match || outdated {
					t.Errorf("match %t, outdated %t", match, outdated)
				}
				if n := computed.Load() - before; n != 1 {
					t.Errorf("%d hashes computed", n)
				}
			}
		})
	}
}

func TestBoundsAllowThemselves(t *testing.T) {
	for _, params := range []string{
		"m=524288,t=2,p=4", "m=65536,t=16,p=64", "m=8,t=1,p=1", "m=512,t=1,p=64",
		"m=262144,t=3,p=1", // libsodium's MODERATE
	} {
		hash := "$argon2id$v=19$" + params + "$/+aZsapy8IC1zdTBcX+VcQ$IysOc0FgNu+NBKJGNCezVASoyCWG/t1TpEuQd/MRqBc"
		if _, usable := parse(hash); !usable {
			t.Errorf("%s is refused", params)
		}
	}
	for _, cost := range []string{"04", "09", "10", "16"} {
		if _, usable := parse("$2b$" + cost + ofBcrypt2a[6:]); !usable {
			t.Errorf("bcrypt cost %s is refused", cost)
		}
	}
}

func TestWrongPasswordsMatchNothing(t *testing.T) {
	h := &Hasher{Params: cheap}
	for _, hash := range []string{hashOfNFC, longest, shortest, ofArgon2i, ofBcrypt2a} {
		for _, password := range []string{"", "Grail", "grail ", "u*u", hash} {
			if match, outdated := verify(t, h, password, hash); match || outdated {
				t.Errorf("%q for %s: match %t, outdated %t", password, hash, match, outdated)
			}
		}
	}
}

func TestTamperedHashesMatchNothing(t *testing.T) {
	h := &Hasher{Params: cheap}
	for _, c := range []struct{ password, hash string }{
		{"grail", shortest},
		{"U*U", ofBcrypt2a},
	} {
		for i := range c.hash {
			if c.hash == ofBcrypt2a && (i == len("$2") || i == len(ofBcrypt2a)-32) {
				continue // a, b and y are the same; of a salt's last letter four bits say nothing
			}
			for _, letter := range []byte("A5$") {
				if c.hash[i] == letter {
					continue
				}
				tampered := c.hash[:i] + string(letter) + c.hash[i+1:]
				if match, _ := verify(t, h, c.password, tampered); match {
					t.Errorf("%s matches", tampered)
				}
			}
		}
	}
}

func TestErrorsTellNoSecrets(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, h := range []*Hasher{{Params: cheap}, {Params: Params{Memory: 1}}} {
		_, hashErr := h.Hash(ctx, "guinevere")
		_, _, verifyErr := h.Verify(ctx, "guinevere", shortest)
		for _, err := range []error{hashErr, verifyErr} {
			if err == nil || strings.Contains(err.Error(), "guinevere") || strings.Contains(err.Error(), "argon2") {
				t.Error(err)
			}
		}
	}
}

func TestCancelledContextHashesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // a place that isn't given back is a deadlock
		h, computed := counting()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		for range 100 { // a free place must not win by chance
			if hash, err := h.Hash(ctx, "guinevere"); hash != "" || !errors.Is(err, context.Canceled) {
				t.Fatal(hash, err)
			}
			if match, outdated, err := h.Verify(ctx, nfc, hashOfNFC); match || outdated || !errors.Is(err, context.Canceled) {
				t.Fatal(match, outdated, err)
			}
		}
		if n := computed.Load(); n != 0 {
			t.Errorf("%d hashes computed", n)
		}
		if match, _ := verify(t, h, nfc, hashOfNFC); !match {
			t.Error("no place is left")
		}
	})
}

func TestGateAdmitsSoManyAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const places, callers = 2, 7
		var inside, most, done atomic.Int64
		next := make(chan struct{})
		h := &Hasher{Params: cheap, Concurrent: places, computing: func() {
			if n := inside.Add(1); n > most.Load() {
				most.Store(n)
			}
			<-next
			inside.Add(-1)
		}}

		var wg sync.WaitGroup
		for i := range callers {
			wg.Go(func() {
				var err error
				switch i % 3 {
				case 0:
					_, err = h.Hash(t.Context(), "guinevere")
				case 1:
					_, _, err = h.Verify(t.Context(), nfc, hashOfNFC)
				default:
					_, _, err = h.Verify(t.Context(), nfc, "")
				}
				if err != nil {
					t.Error(err)
				}
				done.Add(1)
			})
		}
		for finished := range int64(callers) {
			synctest.Wait()
			if got, want := inside.Load(), min(places, callers-finished); got != want {
				t.Errorf("%d hashes at once with %d to do, not %d", got, callers-finished, want)
			}
			if done.Load() != finished {
				t.Errorf("%d are through, not %d", done.Load(), finished)
			}
			next <- struct{}{}
		}
		wg.Wait()
		if most.Load() != places {
			t.Errorf("%d hashes at once", most.Load())
		}
	})
}

func TestWaitingEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		next := make(chan struct{})
		var computed atomic.Int64
		h := &Hasher{Params: cheap, Concurrent: 1, computing: func() {
			computed.Add(1)
			<-next
		}}
		first := make(chan error)
		go func() {
			_, err := h.Hash(t.Context(), "guinevere")
			first <- err
		}()
		synctest.Wait()

		ctx, cancel := context.WithCancel(t.Context())
		second := make(chan error)
		go func() {
			_, _, err := h.Verify(ctx, nfc, hashOfNFC)
			second <- err
		}()
		synctest.Wait()
		cancel()
		if err := <-second; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if n := computed.Load(); n != 1 {
			t.Errorf("%d hashes computed", n)
		}

		close(next)
		if err := <-first; err != nil {
			t.Error(err)
		}
		if match, _ := verify(t, h, nfc, hashOfNFC); !match {
			t.Error("the place was not given back")
		}
	})
}

func TestConcurrentUse(t *testing.T) {
	h := &Hasher{Params: cheap}
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			password := fmt.Sprint("guinevere", i)
			hash, err := h.Hash(t.Context(), password)
			if err != nil {
				t.Error(err)
			}
			if match, outdated, err := h.Verify(t.Context(), password, hash); !match || outdated || err != nil {
				t.Error(match, outdated, err)
			}
		})
	}
	wg.Wait()
}

// While fastapi-users before version 13 verifies the same hashes.
func TestLegacyBcrypt(t *testing.T) {
	h := &Hasher{LegacyBcryptCost: 4}
	hash, err := h.Hash(t.Context(), "Zu\u0308rich") // NFD
	if err != nil || !strings.HasPrefix(hash, "$2b$04$") || len(hash) != 60 {
		t.Fatalf("%q, %v", hash, err)
	}
	for typed, want := range map[string]bool{"Z\u00fcrich": true, "Zu\u0308rich": true, "Zurich": false, "": false} {
		if match, outdated, err := h.Verify(t.Context(), typed, hash); match != want || outdated || err != nil {
			t.Errorf("%q: %v, %v, %v", typed, match, outdated, err)
		}
	}
	if match, outdated, err := new(Hasher).Verify(t.Context(), "Z\u00fcrich", hash); !match || !outdated || err != nil {
		t.Errorf("afterwards it is replaced: %v, %v, %v", match, outdated, err)
	}
	modern, err := new(Hasher).Hash(t.Context(), "secret")
	if err != nil {
		t.Fatal(err)
	}
	if match, outdated, err := h.Verify(t.Context(), "secret", modern); !match || outdated || err != nil {
		t.Errorf("a better hash is left alone: %v, %v, %v", match, outdated, err)
	}
	for what, unfit := range map[string]string{"73 bytes": strings.Repeat("x", 73), "NUL": "a\x00a"} {
		if hash, err := h.Hash(t.Context(), unfit); !errors.Is(err, ErrUnfit) || hash != "" {
			t.Errorf("%s: %q, %v", what, hash, err)
		}
	}
	if _, err := h.Hash(t.Context(), strings.Repeat("x", 72)); err != nil {
		t.Error(err)
	}
	if match, _, err := h.Verify(t.Context(), "", ""); match || err != nil {
		t.Errorf("nobody: %v, %v", match, err)
	}
	for _, cost := range []int{-1, 3, 17} {
		if _, err := (&Hasher{LegacyBcryptCost: cost}).Hash(t.Context(), "secret"); err == nil {
			t.Errorf("cost %d is accepted", cost)
		}
	}
}
