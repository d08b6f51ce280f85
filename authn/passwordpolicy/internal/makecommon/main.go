// Command makecommon makes ../../common.txt.gz, the list of common passwords,
// of lists that others made. Run it by go generate, after
//
//	npm pack @zxcvbn-ts/language-common@4.1.3
//	tar xzf zxcvbn-ts-language-common-4.1.3.tgz package/src/passwords.json
//	apt-get download python3-django
//	dpkg -x python3-django_*.deb django
//
// in authn/passwordpolicy. A list is a JSON array of texts, or a line for each;
// one of a name that ends in .gz is compressed.
package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"maps"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// minLength is that of the shortest word that is kept, in code points.
const minLength = 4

func main() {
	log.SetFlags(0)
	if len(os.Args) < 3 {
		log.Fatal("usage: makecommon OUT LIST...")
	}
	words := map[string]bool{}
	for _, file := range os.Args[2:] {
		list, err := read(file)
		if err != nil {
			log.Fatal(file, ": ", err)
		}
		for _, word := range list {
			word = strings.ToLower(norm.NFKC.String(strings.TrimSpace(word)))
			if utf8.RuneCountInString(word) >= minLength && !strings.Contains(word, "\n") {
				words[word] = true
			}
		}
	}
	packed, err := pack(slices.Sorted(maps.Keys(words)))
	if err != nil {
		log.Fatal(err)
	}
	if err := os.WriteFile(os.Args[1], packed, 0o644); err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s: %d words, %d bytes\n", os.Args[1], len(words), len(packed))
}

func read(file string) ([]string, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	if strings.HasSuffix(file, ".gz") {
		packed, err := gzip.NewReader(bytes.NewReader(data))
		if err != nil {
			return nil, err
		}
		if data, err = io.ReadAll(packed); err != nil {
			return nil, err
		}
	}
	var list []string
	if err := json.Unmarshal(data, &list); err == nil {
		return list, nil
	}
	return strings.Split(string(data), "\n"), nil
}

// pack compresses the words, each with its line's end.
func pack(words []string) ([]byte, error) {
	var packed bytes.Buffer
	w, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := io.WriteString(w, strings.Join(words, "\n")+"\n"); err != nil {
		return nil, err
	}
	err = w.Close()
	return packed.Bytes(), err
}
