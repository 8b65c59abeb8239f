package countersign

import (
	"context"
	"errors"
	"fmt"
	"io"

	"countersign.dev/pkg/conf"
	"countersign.dev/pkg/seal"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api"
)

// activityConfig is what an operator's tool needs that computes hashes again.
type activityConfig struct {
	api.OperatorConfig
	IndexKey secret.Text `env:"INDEX_KEY,required" doc:"the key that the records were chained with; with another one none of them holds"`
}

// Validate names every mistake that the types do not show. A key that is
// mistyped must not look like records that were tampered with.
func (c activityConfig) Validate() error {
	mistakes := []error{c.OperatorConfig.Validate()}
	if !c.IndexKey.IsZero() {
		if _, err := seal.ParseIndex("COUNTERSIGN_INDEX_KEY", c.IndexKey); err != nil {
			mistakes = append(mistakes, conf.Wrong("COUNTERSIGN_INDEX_KEY", "is not a key: %v", err))
		}
	}
	return errors.Join(mistakes...)
}

type activityCommand struct {
	Verify activityVerifyCommand `cmd:"" help:"Read the whole activity and compute its chains again, to find records that were changed, added, moved or removed. It changes nothing, and the services may run meanwhile."`
}

type activityVerifyCommand struct{}

func (activityVerifyCommand) Run(ctx context.Context, p *process) error {
	cfg, err := operatorConfig[activityConfig](p)
	if err != nil {
		return err
	}
	return withAdmin(ctx, cfg.OperatorConfig, func(a *api.Admin) error {
		report, err := a.VerifyActivity(ctx, cfg.IndexKey, progress(p.stderr))
		if err != nil {
			return err
		}
		return tell(p.stdout, report)
	})
}

// progressStep is how many chains are read between two lines.
const progressStep = 1000

// progress says how far the look is: it may take hours.
func progress(w io.Writer) func(api.ActivityReport) {
	return func(r api.ActivityReport) {
		if r.Chains%progressStep == 0 {
			fmt.Fprintf(w, "%d records in %d chains so far, %d of them broken\n", r.Records, r.Chains, len(r.Breaks))
		}
	}
}

// tell prints what was found. What does not hold is an error, so that a job
// that runs this every night fails.
func tell(w io.Writer, r api.ActivityReport) error {
	if r.Sound() {
		_, err := fmt.Fprintf(w, "%d records in %d chains: all of them hold.\n", r.Records, r.Chains)
		return err
	}
	for _, b := range r.Breaks {
		fmt.Fprintf(w, "organization %s, environment %s, chain %d, record %d: %s\n", b.Tenant.Org, b.Tenant.Env, b.Chain, b.Number, b.Why)
	}
	hint := ""
	if len(r.Breaks) == r.Chains {
		hint = "; when all are, look first whether COUNTERSIGN_INDEX_KEY is the key of this database"
	}
	return fmt.Errorf("the activity does not hold: %d of %d chains are broken%s", len(r.Breaks), r.Chains, hint)
}
