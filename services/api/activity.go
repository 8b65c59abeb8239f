package api

import (
	"context"

	"countersign.dev/pkg/seal"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/activity"
)

// ActivityReport is what a look at the chains of the activity found.
type ActivityReport = activity.Report

// VerifyActivity computes every chain of the activity again, of every
// organization. The key is COUNTERSIGN_INDEX_KEY; with another one nothing
// fits. Each hears of the progress.
func (a *Admin) VerifyActivity(ctx context.Context, indexKey secret.Text, each func(ActivityReport)) (ActivityReport, error) {
	index, err := seal.ParseIndex("COUNTERSIGN_INDEX_KEY", indexKey)
	if err != nil {
		return ActivityReport{}, err
	}
	verifier := activity.Verifier{Ledger: a.store, Chain: activity.Chain{Index: index}, Each: each}
	return verifier.Verify(ctx)
}
