package password

import "testing"

// FuzzVerify takes any string for a stored hash. What the parser accepts is
// within the bounds; what is cheap, too, is verified.
func FuzzVerify(f *testing.F) {
	for _, hash := range []string{
		"", hashOfNFC, hashOfNFD, hashOfNUL, hashOfEmpty, longest, shortest, ofArgon2i, ofArgon2d, ofBcrypt2a,
		"$argon2id$v=19$m=4294967295,t=4294967295,p=255$/+aZsapy8IC1zdTBcX+VcQ$IysOc0FgNu+NBKJGNCezVA",
		"$2b$31$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
	} {
		f.Add("grail", hash)
		f.Add(nfd, hash)
	}
	h := &Hasher{Params: cheap}
	f.Fuzz(func(t *testing.T, password, hash string) {
		stored, usable := parse(hash)
		switch d := stored.(type) {
		case argon2Hash:
			if d.encode() != hash || !d.params.inBounds() {
				t.Fatalf("accepted as %s", d.encode())
			}
			if d.params.Memory > 1<<10 || d.params.Time > 2 {
				return
			}
		case bcryptHash:
			if cost := hash[4:6]; cost < "04" || cost > "16" {
				t.Fatalf("cost %s accepted", cost)
			} else if cost > "05" {
				return
			}
		}
		match, outdated, err := h.Verify(t.Context(), password, hash)
		if err != nil || match && !usable || outdated && !match {
			t.Errorf("match %t, outdated %t, %v", match, outdated, err)
		}
	})
}
