//! A press shop: fifty assets that drift, and counters that count.

use std::sync::Arc;
use std::time::Duration;

use penstock_events::{AssetPath, CounterMark, Event, Fact, Output, Quality, TagPath, Timestamp, Value};

/// Every so many events, one is a business event.
pub(crate) const BUSINESS_EVERY: usize = 20;

/// Makes events, one after the other, always the same.
pub(crate) struct Plant {
    assets: Vec<(AssetPath, TagPath, TagPath)>,
    unit: Arc<str>,
    random: u64,
    at: usize,
}

impl Default for Plant {
    fn default() -> Self {
        let names = |n: usize| {
            let asset = format!("stamping/line-{}/press-{n}", n / 10).parse().expect("a path");
            let temperature = format!("press-{n}.temperature").parse().expect("a tag");
            (asset, temperature, format!("press-{n}.good").parse().expect("a tag"))
        };
        Self { assets: (0..50).map(names).collect(), unit: "Cel".into(), random: 7, at: 0 }
    }
}

impl Plant {
    /// The next `events` events.
    pub(crate) fn group(&mut self, events: usize) -> Vec<Event> {
        (0..events).map(|_| self.event()).collect()
    }

    fn event(&mut self) -> Event {
        self.at += 1;
        self.random =
            self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let (asset, temperature, good) = &self.assets[self.at % self.assets.len()];
        let time = Timestamp::from_micros(1_767_225_600_000_000 + (self.at as i64 / 50) * 100_000);
        let noise = (self.random >> 40) as f64 / f64::from(1 << 24);
        let fact = if self.at.is_multiple_of(BUSINESS_EVERY) {
            let to = self.at as u64 / 50;
            let counter =
                CounterMark { epoch: Timestamp::from_micros(1_767_225_600_000_000), from: to - 1, to };
            Fact::ProductionCompleted { tag: good.clone(), output: Output::Good, quantity: 1, counter }
        } else {
            let value = Some(Value::Float(((180.0 + 5.0 * noise) * 10.0).round() / 10.0));
            Fact::TelemetrySampled { tag: temperature.clone(), value, unit: Some(Arc::clone(&self.unit)) }
        };
        let observed = time.saturating_add(Duration::from_micros(1_500 + (self.random >> 54)));
        Event { asset: asset.clone(), time, observed, quality: Quality::Good, fact }
    }
}
