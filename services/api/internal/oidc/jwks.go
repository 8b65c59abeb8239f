package oidc

import (
	"context"

	"countersign.dev/services/api/internal/pipeline"
	"countersign.dev/services/api/internal/tenant"
)

type jwksOut struct {
	Keys []jwkOut `json:"keys"`
}

type jwkOut struct {
	Type        string   `json:"kty" doc:"RSA or EC."`
	Use         string   `json:"use"`
	Algorithm   string   `json:"alg"`
	ID          string   `json:"kid"`
	Modulus     string   `json:"n,omitempty" doc:"Of an RSA key."`
	Exponent    string   `json:"e,omitempty" doc:"Of an RSA key."`
	Curve       string   `json:"crv,omitempty" doc:"Of a key on an elliptic curve."`
	X           string   `json:"x,omitempty" doc:"Of a key on an elliptic curve."`
	Y           string   `json:"y,omitempty" doc:"Of a key on an elliptic curve."`
	Certificate []string `json:"x5c"`
}

// keys publishes what verifies tokens. The keys are the same for everybody;
// an issuer that does not exist has none.
func (a *API) keys(ctx context.Context, c pipeline.Call, _ pipeline.Nothing) (jwksOut, error) {
	if issuer := c.Path("issuer"); issuer != "" {
		if !tenant.IsDomain(issuer) {
			return jwksOut{}, tenant.ErrNotFound
		}
		exists, err := a.Issuers.IssuerExists(ctx, issuer)
		if err != nil {
			return jwksOut{}, err
		}
		if !exists {
			return jwksOut{}, tenant.ErrNotFound
		}
	}
	published, err := a.Tokens.PublicKeys(ctx)
	if err != nil {
		return jwksOut{}, err
	}
	out := jwksOut{Keys: []jwkOut{}}
	for _, k := range published {
		out.Keys = append(out.Keys, jwkOut{
			Type: k.Type, Use: "sig", Algorithm: k.Algorithm, ID: k.ID, Modulus: k.Modulus, Exponent: k.Exponent, Curve: k.Curve, X: k.X, Y: k.Y,
			Certificate: []string{k.Certificate},
		})
	}
	return out, nil
}
