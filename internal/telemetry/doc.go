// Package telemetry sets up what the program tells its operator: zap loggers
// that hide what must not be read in a log, and the Prometheus metrics.
//
// It measures nothing by itself and opens no listener: others call the methods
// of Metrics or register functions that are asked at scrape time. The audit
// stream is package audit.
package telemetry
