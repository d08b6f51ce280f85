package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// tenYears is how long the tokens of the sample live.
const tenYears = 10 * 365 * 24 * time.Hour

// sample is a copy of a database that fastapi-users 12 wrote.
type sample struct {
	file    string
	Key     string                `json:"key"`
	Secrets secrets               `json:"secrets"`
	Users   map[string]sampleUser `json:"users"`
}

type sampleUser struct {
	Password      string `json:"password"`
	JWT           string `json:"jwt"`
	DatabaseToken string `json:"database_token"`
}

const sampleUserEmail = "king.arthur@camelot.example.com"

func newSample() (*sample, func(), error) {
	source := filepath.Join("userdb", "testdata", "fastapi-users", "uuid.sqlite")
	database, err := os.ReadFile(source)
	if err != nil {
		return nil, nil, errors.New("the sample is in the repository: run this from its top, or name your database with -db")
	}
	description, err := os.ReadFile(source + ".json")
	if err != nil {
		return nil, nil, err
	}
	s := new(sample)
	if err := json.Unmarshal(description, s); err != nil {
		return nil, nil, err
	}
	dir, err := os.MkdirTemp("", "from-fastapi-")
	if err != nil {
		return nil, nil, err
	}
	s.file = filepath.Join(dir, "copy.sqlite")
	remove := func() { os.RemoveAll(dir) }
	if err := os.WriteFile(s.file, database, 0o600); err != nil {
		remove()
		return nil, nil, err
	}
	return s, remove, nil
}

// print says what to try.
func (s *sample) print(addr string) {
	user := s.Users[sampleUserEmail]
	fmt.Printf(`A copy of a database that fastapi-users 12 wrote. Try, in another terminal,
a password, a JWT and a database token of that time:

  curl http://%[1]s/auth/jwt/login -d username=%[2]s -d password=%[3]s
  curl http://%[1]s/users/me -H 'Authorization: Bearer %[4]s'
  curl http://%[1]s/users/me -H 'Authorization: Bearer %[5]s'

`, addr, sampleUserEmail, user.Password, user.JWT, user.DatabaseToken)
}
