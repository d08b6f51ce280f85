// Package telemetry has an application's users seen in OpenTelemetry: metrics of
// guards, log-ins, refreshes, hashes, limits, mails, the background and the
// cache, and spans of what takes long. It links the API of OpenTelemetry alone;
// where it all goes is what the application's SDK says.
//
//	observer, err := telemetry.New(meterProvider, tracerProvider, telemetry.Config{})
//	users, err := authn.New(store, authn.Config{Observer: observer}, web)
//
// No attribute says who somebody is, or holds a token, an address or the text of
// an error.
package telemetry
