// Signs and verifies artifacts of a registry on the library that the notation command line is made of.
// Unlike that, it can be told to find signatures by the list under a tag alone, as clients do that
// know no referrers API.
//
//	notation-client key DIR                  make a key and a certificate that trusts itself
//	notation-client sign DIR REFERENCE       sign what the reference names
//	notation-client verify DIR REFERENCE     verify it under the certificate
//	notation-client list REFERENCE           the digests of its signatures
//
// With -tag it keeps the list of referrers itself, under a tag (notation's --force-referrers-tag).
// SEALOCK_USER and SEALOCK_PASSWORD log it in; it speaks plain HTTP.
package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"time"

	"github.com/notaryproject/notation-go"
	"github.com/notaryproject/notation-go/dir"
	"github.com/notaryproject/notation-go/registry"
	"github.com/notaryproject/notation-go/signer"
	"github.com/notaryproject/notation-go/verifier"
	"github.com/notaryproject/notation-go/verifier/trustpolicy"
	"github.com/notaryproject/notation-go/verifier/truststore"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"
)

const (
	mediaType = "application/jose+json"
	store     = "truststore/x509/ca/test"
)

func main() {
	tag := flag.Bool("tag", false, "keep the list of referrers under a tag")
	flag.Parse()
	if err := run(flag.Args(), *tag); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(arguments []string, tag bool) error {
	ctx := context.Background()
	switch {
	case len(arguments) == 2 && arguments[0] == "key":
		return makeKey(arguments[1])
	case len(arguments) == 3 && arguments[0] == "sign":
		return sign(ctx, arguments[1], arguments[2], tag)
	case len(arguments) == 3 && arguments[0] == "verify":
		return verify(ctx, arguments[1], arguments[2], tag)
	case len(arguments) == 2 && arguments[0] == "list":
		return list(ctx, arguments[1], tag)
	}
	return errors.New("usage: notation-client [-tag] key|sign|verify|list ...")
}

func makeKey(folder string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "test", Organization: []string{"test"}, Country: []string{"XX"}},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(24 * time.Hour),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning},
		BasicConstraintsValid: true,
	}
	certificate, err := x509.CreateCertificate(rand.Reader, &template, &template, &key.PublicKey, key)
	if err != nil {
		return err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(folder, store), 0o700); err != nil {
		return err
	}
	encode := func(name, kind string, der []byte) error {
		return os.WriteFile(filepath.Join(folder, name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
	}
	return errors.Join(
		encode("key.pem", "PRIVATE KEY", private),
		encode(filepath.Join(store, "cert.pem"), "CERTIFICATE", certificate),
	)
}

func open(reference string, tag bool) (registry.Repository, *remote.Repository, error) {
	repository, err := remote.NewRepository(reference)
	if err != nil {
		return nil, nil, err
	}
	repository.PlainHTTP = true
	repository.Client = &auth.Client{
		Cache: auth.NewCache(),
		Credential: auth.StaticCredential(repository.Reference.Registry, auth.Credential{
			Username: os.Getenv("SEALOCK_USER"),
			Password: os.Getenv("SEALOCK_PASSWORD"),
		}),
	}
	if tag {
		err = repository.SetReferrersCapability(false)
	}
	return registry.NewRepository(repository), repository, err
}

func sign(ctx context.Context, folder, reference string, tag bool) error {
	repository, _, err := open(reference, tag)
	if err != nil {
		return err
	}
	with, err := signer.NewFromFiles(filepath.Join(folder, "key.pem"), filepath.Join(folder, store, "cert.pem"))
	if err != nil {
		return err
	}
	options := notation.SignOptions{ArtifactReference: reference}
	options.SignatureMediaType = mediaType
	signed, err := notation.Sign(ctx, with, repository, options)
	if err != nil {
		return err
	}
	fmt.Println(signed.Digest)
	return nil
}

func verify(ctx context.Context, folder, reference string, tag bool) error {
	repository, _, err := open(reference, tag)
	if err != nil {
		return err
	}
	dir.UserConfigDir = folder
	policy := &trustpolicy.Document{
		Version: "1.0",
		TrustPolicies: []trustpolicy.TrustPolicy{{
			Name:                  "test",
			RegistryScopes:        []string{"*"},
			SignatureVerification: trustpolicy.SignatureVerification{VerificationLevel: "strict"},
			TrustStores:           []string{"ca:test"},
			TrustedIdentities:     []string{"*"},
		}},
	}
	with, err := verifier.New(policy, truststore.NewX509TrustStore(dir.ConfigFS()), nil)
	if err != nil {
		return err
	}
	options := notation.VerifyOptions{ArtifactReference: reference, MaxSignatureAttempts: 50}
	verified, _, err := notation.Verify(ctx, with, repository, options)
	if err != nil {
		return err
	}
	fmt.Println(verified.Digest)
	return nil
}

func list(ctx context.Context, reference string, tag bool) error {
	repository, remote, err := open(reference, tag)
	if err != nil {
		return err
	}
	subject, err := repository.Resolve(ctx, remote.Reference.Reference)
	if err != nil {
		return err
	}
	return repository.ListSignatures(ctx, subject, func(signatures []ocispec.Descriptor) error {
		for _, signature := range signatures {
			fmt.Println(signature.Digest)
		}
		return nil
	})
}
