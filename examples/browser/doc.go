// Package browser tries the examples in a real Chromium. It is a module of its
// own, so that nobody else depends on what drives a browser.
package browser
