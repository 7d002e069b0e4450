//! Where the figures of one node are kept until somebody asks for them, and how they become text.

use ::metrics::{Counter, Gauge, Histogram, Key, KeyName, Label, Level, Metadata, Recorder};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusRecorder};

use super::catalog::{ALL, Family, Kind};
use crate::settings::Settings;

/// Says to the facade where a metric comes from, which nobody asks.
const WHERE: Metadata<'static> = Metadata::new(module_path!(), Level::INFO, Some(module_path!()));

/// Of which node the figures are. Every series says so.
#[derive(Clone)]
pub(super) struct Origin {
    pub(super) cluster: String,
    pub(super) node: String,
}

impl Origin {
    pub(super) fn of(settings: &Settings) -> Self {
        Self { cluster: settings.cluster.clone(), node: settings.node_id.to_string() }
    }
}

/// The figures of one node, or of one look at it.
pub(super) struct Registry(PrometheusRecorder);

impl Registry {
    pub(super) fn new(origin: &Origin) -> Self {
        let builder = PrometheusBuilder::new().add_global_label("cluster", &origin.cluster);
        let mut builder = builder.add_global_label("node", &origin.node);
        for family in ALL {
            if let Kind::Histogram(buckets) = family.kind {
                let name = Matcher::Full(family.name.to_owned());
                let bounded = builder.set_buckets_for_metric(name, buckets);
                builder = bounded.expect("a histogram of the catalog has buckets");
            }
        }
        Self(builder.build_recorder())
    }

    pub(super) fn counter(&self, family: &'static Family, labels: &[&str]) -> Counter {
        let (name, help) = (KeyName::from_const_str(family.name), family.help.into());
        self.0.describe_counter(name, None, help);
        self.0.register_counter(&key(family, labels), &WHERE)
    }

    pub(super) fn gauge(&self, family: &'static Family, labels: &[&str]) -> Gauge {
        let (name, help) = (KeyName::from_const_str(family.name), family.help.into());
        self.0.describe_gauge(name, None, help);
        self.0.register_gauge(&key(family, labels), &WHERE)
    }

    pub(super) fn histogram(&self, family: &'static Family, labels: &[&str]) -> Histogram {
        let (name, help) = (KeyName::from_const_str(family.name), family.help.into());
        self.0.describe_histogram(name, None, help);
        self.0.register_histogram(&key(family, labels), &WHERE)
    }

    /// All of it, in the words of Prometheus.
    pub(super) fn text(&self) -> String {
        self.0.handle().render()
    }

    pub(super) fn sum_up(&self) {
        self.0.handle().run_upkeep();
    }
}

fn key(family: &'static Family, labels: &[&str]) -> Key {
    debug_assert_eq!(family.labels.len(), labels.len(), "the labels of {}", family.name);
    let labels = family.labels.iter().zip(labels);
    let labels = labels.map(|(name, value)| Label::new(*name, (*value).to_owned()));
    Key::from_parts(family.name, labels.collect::<Vec<_>>())
}
