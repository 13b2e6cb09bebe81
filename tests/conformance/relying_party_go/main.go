// A relying party of the kind that Go programs are: coreos/go-oidc and golang.org/x/oauth2, nothing of ours.
//
// It prints the address that a browser has to go to, reads the address that the browser was sent back to, and does what
// a relying party does then: code for tokens with PKCE, the ID token verified, userinfo, a refresh. The last line says
// as JSON what it found; whatever it does not believe ends it with a line on stderr.
package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

type found struct {
	Subject       string `json:"sub"`
	Email         string `json:"email"`
	EmailVerified bool   `json:"email_verified"`
	Name          string `json:"name"`
	Refreshed     bool   `json:"refreshed"`
	SameSubject   bool   `json:"same_subject"`
}

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	result, err := logIn(ctx, os.Getenv("ISSUER"), os.Getenv("CLIENT_ID"), os.Getenv("CLIENT_SECRET"), os.Getenv("CALLBACK"))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if err := json.NewEncoder(os.Stdout).Encode(result); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func logIn(ctx context.Context, issuer, id, secret, callback string) (*found, error) {
	provider, err := oidc.NewProvider(ctx, issuer)
	if err != nil {
		return nil, fmt.Errorf("discovery: %w", err)
	}
	config := oauth2.Config{
		ClientID:     id,
		ClientSecret: secret,
		Endpoint:     provider.Endpoint(),
		RedirectURL:  callback,
		Scopes:       []string{oidc.ScopeOpenID, oidc.ScopeOfflineAccess, "profile", "email"},
	}
	state, nonce, verifier := random(), random(), oauth2.GenerateVerifier()
	fmt.Println(config.AuthCodeURL(state, oidc.Nonce(nonce), oauth2.S256ChallengeOption(verifier)))
	code, err := codeFrom(bufio.NewReader(os.Stdin), state)
	if err != nil {
		return nil, err
	}
	token, err := config.Exchange(ctx, code, oauth2.VerifierOption(verifier))
	if err != nil {
		return nil, fmt.Errorf("exchange: %w", err)
	}
	idToken, err := verified(ctx, provider, id, token)
	if err != nil {
		return nil, err
	}
	if idToken.Nonce != nonce {
		return nil, fmt.Errorf("nonce: %q is not %q", idToken.Nonce, nonce)
	}
	return goOn(ctx, provider, config, token, idToken)
}

// codeFrom reads the address that the browser was sent to.
func codeFrom(lines *bufio.Reader, state string) (string, error) {
	line, err := lines.ReadString('\n')
	if err != nil {
		return "", fmt.Errorf("no callback: %w", err)
	}
	target, err := url.Parse(strings.TrimSpace(line))
	if err != nil {
		return "", fmt.Errorf("callback: %w", err)
	}
	query := target.Query()
	if told := query.Get("error"); told != "" {
		return "", fmt.Errorf("the provider says %s", told)
	}
	if query.Get("state") != state {
		return "", fmt.Errorf("state: %q is not %q", query.Get("state"), state)
	}
	return query.Get("code"), nil
}

// verified checks signature, issuer, audience, time, and that the access token belongs to the ID token.
func verified(ctx context.Context, provider *oidc.Provider, id string, token *oauth2.Token) (*oidc.IDToken, error) {
	raw, ok := token.Extra("id_token").(string)
	if !ok {
		return nil, fmt.Errorf("no id_token")
	}
	idToken, err := provider.Verifier(&oidc.Config{ClientID: id}).Verify(ctx, raw)
	if err != nil {
		return nil, fmt.Errorf("id_token: %w", err)
	}
	if err := idToken.VerifyAccessToken(token.AccessToken); err != nil {
		return nil, fmt.Errorf("at_hash: %w", err)
	}
	return idToken, nil
}

// goOn asks userinfo, refreshes, verifies what came of it and asks again.
func goOn(ctx context.Context, provider *oidc.Provider, config oauth2.Config, token *oauth2.Token, idToken *oidc.IDToken) (*found, error) {
	info, err := provider.UserInfo(ctx, oauth2.StaticTokenSource(token))
	if err != nil {
		return nil, fmt.Errorf("userinfo: %w", err)
	}
	var claims struct {
		Name string `json:"name"`
	}
	if err := info.Claims(&claims); err != nil {
		return nil, fmt.Errorf("userinfo: %w", err)
	}
	spent := &oauth2.Token{RefreshToken: token.RefreshToken, Expiry: time.Now().Add(-time.Hour)}
	renewed, err := config.TokenSource(ctx, spent).Token()
	if err != nil {
		return nil, fmt.Errorf("refresh: %w", err)
	}
	second, err := verified(ctx, provider, config.ClientID, renewed)
	if err != nil {
		return nil, err
	}
	if _, err := provider.UserInfo(ctx, oauth2.StaticTokenSource(renewed)); err != nil {
		return nil, fmt.Errorf("userinfo after the refresh: %w", err)
	}
	return &found{
		Subject:       info.Subject,
		Email:         info.Email,
		EmailVerified: info.EmailVerified,
		Name:          claims.Name,
		Refreshed:     renewed.AccessToken != token.AccessToken,
		SameSubject:   info.Subject == idToken.Subject && second.Subject == idToken.Subject,
	}, nil
}

func random() string {
	bytes := make([]byte, 32)
	if _, err := rand.Read(bytes); err != nil {
		panic(err)
	}
	return base64.RawURLEncoding.EncodeToString(bytes)
}
