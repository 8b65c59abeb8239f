package app_test

import (
	"errors"
	"testing"

	"countersign.dev/services/api/internal/app"
	"countersign.dev/services/api/internal/tenant"
)

//
func TestTextMessagesAreNotTheOnlySecondFactorUnlessSomebodySaysSo(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		methods []string
		alone   bool
		taken   bool
	}{
		"a password and text messages":        {[]string{app.Password, app.SMS}, false, false},
		"text messages and recovery codes":    {[]string{app.SMS, app.Recovery}, false, false},
		"text messages because somebody says": {[]string{app.Password, app.SMS}, true, true},
		"text messages beside apps":           {[]string{app.Password, app.SMS, app.TOTP}, false, true},
		"no second factor":                    {[]string{app.Password}, false, true},
		"all":                                 {nil, false, true},
	} {
		err := refused(tenant.Default, app.New{Change: app.Change{Methods: &c.methods, SMSAlone: c.alone}})
		if taken := err == nil; taken != c.taken || !taken && !errors.Is(err, app.ErrSMSAlone) {
			t.Errorf("%s: %v", name, err)
		}
	}
	s, k := service()
	k.kept = app.App{ID: app.NewID(), Methods: app.Methods(), Profile: app.Standard, IDTokenAlg: app.ES256}
	only := []string{app.SMS}
	if _, err := s.Update(t.Context(), caller(tenant.Default), k.kept.ID, app.Change{Methods: &only}); !errors.Is(err, app.ErrSMSAlone) {
		t.Errorf("a change to text messages alone: %v", err)
	}
}
