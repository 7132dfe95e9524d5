// Package collector lets a real OpenTelemetry Collector read the configuration of the component.
package collector

import (
	"context"
	"testing"

	"github.com/open-telemetry/opentelemetry-collector-contrib/exporter/prometheusexporter"
	"github.com/open-telemetry/opentelemetry-collector-contrib/extension/healthcheckextension"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/confmap/provider/fileprovider"
	"go.opentelemetry.io/collector/confmap/provider/yamlprovider"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/exporter/debugexporter"
	"go.opentelemetry.io/collector/extension"
	"go.opentelemetry.io/collector/otelcol"
	"go.opentelemetry.io/collector/processor"
	"go.opentelemetry.io/collector/processor/batchprocessor"
	"go.opentelemetry.io/collector/processor/memorylimiterprocessor"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/receiver/otlpreceiver"
	"go.opentelemetry.io/collector/service/telemetry/otelconftelemetry"
)

const config = "../../k8s/components/opentelemetry-collector/config.yaml"

// The parts of the "contrib" distribution that the configuration names.
func factories() (otelcol.Factories, error) {
	receivers, err := otelcol.MakeFactoryMap[receiver.Factory](otlpreceiver.NewFactory())
	if err != nil {
		return otelcol.Factories{}, err
	}
	processors, err := otelcol.MakeFactoryMap[processor.Factory](
		batchprocessor.NewFactory(), memorylimiterprocessor.NewFactory())
	if err != nil {
		return otelcol.Factories{}, err
	}
	exporters, err := otelcol.MakeFactoryMap[exporter.Factory](
		debugexporter.NewFactory(), prometheusexporter.NewFactory())
	if err != nil {
		return otelcol.Factories{}, err
	}
	extensions, err := otelcol.MakeFactoryMap[extension.Factory](healthcheckextension.NewFactory())
	return otelcol.Factories{
		Receivers:  receivers,
		Processors: processors,
		Exporters:  exporters,
		Extensions: extensions,
		Telemetry:  otelconftelemetry.NewFactory(),
	}, err
}

// What the collector says of a configuration, as its command `validate` does.
func validate(uris ...string) error {
	settings := otelcol.CollectorSettings{
		BuildInfo: component.NewDefaultBuildInfo(),
		Factories: factories,
		ConfigProviderSettings: otelcol.ConfigProviderSettings{
			ResolverSettings: confmap.ResolverSettings{
				URIs: uris,
				ProviderFactories: []confmap.ProviderFactory{
					fileprovider.NewFactory(), yamlprovider.NewFactory(),
				},
			},
		},
	}
	collector, err := otelcol.NewCollector(settings)
	if err != nil {
		return err
	}
	return collector.DryRun(context.Background())
}

func TestTheCollectorTakesItsConfiguration(t *testing.T) {
	if err := validate("file:" + config); err != nil {
		t.Fatal(err)
	}
}

func TestTheCollectorRefusesWhatItDoesNotKnow(t *testing.T) {
	for _, broken := range []string{
		"exporters::prometheus::open_metrics: true",
		"exporters::prometheus::endpoint: ''",
		"exporters::otlphttp::endpoint: https://example.com",
		"processors::memory_limiter::check_interval: 0s",
		"service::pipelines::metrics::processors: [memory_limiter, batches]",
		"service::pipelines::traces::exporters: [prometheus]",
		"service::extensions: [health]",
	} {
		if err := validate("file:"+config, "yaml:"+broken); err == nil {
			t.Errorf("%s is taken", broken)
		}
	}
}
