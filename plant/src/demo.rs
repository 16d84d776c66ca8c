//! The demo: the real gateway between the simulated plant and a broker, through an outage and a
//! SIGKILL, told on the terminal, with a proof at the end. It uses only what the gateway shows to
//! anyone: its command line, its events and its status.

mod gateway;
mod proof;
mod screen;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use penstock_plant::broker::Broker;
use penstock_plant::link::Link;
use penstock_plant::modbus_server::ModbusServer;
use penstock_plant::press_line::registers::UNIT;
use penstock_plant::press_line::{DEMO_TIME_SCALE, LineState, LiveLine, Order};
use penstock_plant::truth::Truth;
use penstock_plant::witness::Witness;

use gateway::Gateway;
use screen::{Look, Screen, grouped};

/// The Modbus source of the demo, and so the first part of its tags.
const SOURCE: &str = "press-1";
const FREE_PORT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// How often the live line is drawn.
const FRAME: Duration = Duration::from_millis(100);
/// How often the gateway is asked for its backlog: each question is a process of its own.
const BACKLOG_INTERVAL: Duration = Duration::from_millis(400);

/// How long each part of the story is watched.
const FLOWING: Duration = Duration::from_secs(9);
const AWAY: Duration = Duration::from_secs(7);
const DEAD: Duration = Duration::from_secs(4);
const AWAY_AGAIN: Duration = Duration::from_secs(4);
const BACK: Duration = Duration::from_secs(6);
/// After everything has arrived: time for what must not come any more, such as a second copy.
const AFTERMATH: Duration = Duration::from_secs(2);
/// A first start on a cold, busy machine.
const START_DEADLINE: Duration = Duration::from_secs(20);
/// Far more than a few thousand events need.
const DRAIN_DEADLINE: Duration = Duration::from_secs(20);
/// The line may be in any state and has to get through a setup.
const LINE_DEADLINE: Duration = Duration::from_secs(15);

/// Tells the story. Success only if nothing was lost and nothing doubled.
pub(crate) async fn run(gateway_bin: &Path, seed: u64) -> anyhow::Result<ExitCode> {
    let mut demo = Demo::set_up(gateway_bin, seed).await?;
    let told = demo.tell().await;
    demo.screen.settle()?;
    let proven = match &told {
        Ok(()) => demo.prove()?,
        Err(error) => {
            demo.screen.say(&demo.screen.paint(Look::Bad, &format!("\n   {error:#}")))?;
            false
        }
    };
    if proven {
        return Ok(ExitCode::SUCCESS);
    }
    demo.gateway.kill().await?;
    let words = demo.gateway.last_words();
    let home = demo.gateway.keep_home().display().to_string();
    demo.screen.say(&format!("\n   The end of the gateway's log (everything is in {home}):\n{words}"))?;
    Ok(ExitCode::FAILURE)
}

struct Demo {
    screen: Screen,
    began: Instant,
    line: LiveLine,
    witness: Witness,
    gateway: Gateway,
    link: Link,
    broker_is: Reach,
    backlog: Option<u64>,
    backlog_asked: Option<Instant>,
    made_while_dead: u64,
    _plc: ModbusServer,
    _broker: Broker,
}

/// Whether the gateway can reach the broker.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Reach {
    There,
    Away,
}

impl Demo {
    async fn set_up(gateway_bin: &Path, seed: u64) -> anyhow::Result<Self> {
        let line = LiveLine::new(seed, DEMO_TIME_SCALE);
        let plc = ModbusServer::start(FREE_PORT, UNIT, Arc::new(line.clone())).await?;
        let broker = Broker::start(FREE_PORT).await?;
        let link = Link::to(broker.address()).await?;
        // Past the link: the witness hears the broker whether or not the gateway can reach it.
        let witness = Witness::subscribe(broker.address(), "#").await?;
        let gateway = Gateway::new(gateway_bin, plc.address(), link.address())?;
        Ok(Self {
            screen: Screen::new(),
            began: Instant::now(),
            line,
            witness,
            gateway,
            link,
            broker_is: Reach::There,
            backlog: None,
            backlog_asked: None,
            made_while_dead: 0,
            _plc: plc,
            _broker: broker,
        })
    }

    async fn tell(&mut self) -> anyhow::Result<()> {
        self.events_flow().await?;
        self.broker_goes_away().await?;
        self.gateway_is_killed().await?;
        self.broker_returns().await?;
        self.plant_stops().await
    }

    async fn events_flow(&mut self) -> anyhow::Result<()> {
        self.phase(
            "1  Events flow",
            "A press line over Modbus TCP, the gateway, an MQTT 5 broker. A shift begins.",
        )?;
        self.gateway.start()?;
        // The line waits to be seen once, so that its first piece is one that can be counted.
        let seen = |demo: &Self| {
            demo.witness.look(|testimony| {
                testimony.received().iter().any(|event| event.kind == "machine.state_changed")
            })
        };
        anyhow::ensure!(
            self.watch_until(START_DEADLINE, seen).await?,
            "no event came within {START_DEADLINE:?}"
        );
        self.line.give(Order::Work);
        self.watch(FLOWING).await
    }

    async fn broker_goes_away(&mut self) -> anyhow::Result<()> {
        self.phase(
            "2  The broker goes away",
            "What the machine does goes on, and is kept on the gateway's disk.",
        )?;
        self.link.down().await?;
        self.broker_is = Reach::Away;
        self.line.give(Order::KeepRunning);
        self.watch(AWAY).await?;
        let running = self.watch_until(LINE_DEADLINE, |demo| demo.line.state() == LineState::Running).await?;
        anyhow::ensure!(running, "the line did not get running");
        // Long enough for a poll to see it.
        self.watch(Duration::from_secs(1)).await
    }

    async fn gateway_is_killed(&mut self) -> anyhow::Result<()> {
        self.phase(
            "3  The gateway is killed",
            "SIGKILL, with its backlog on disk. The press goes on stamping.",
        )?;
        let before = self.pieces();
        self.gateway.kill().await?;
        self.watch(DEAD).await?;
        self.made_while_dead = self.pieces() - before;
        self.gateway.start()?;
        self.note("started again")?;
        let opened = self.watch_until(START_DEADLINE, |demo| demo.backlog.is_some()).await?;
        anyhow::ensure!(opened, "the gateway did not come up again within {START_DEADLINE:?}");
        let opened_with = self.backlog;
        // The line may change its state again once a poll has seen the present one.
        let polls = self.watch_until(START_DEADLINE, |demo| demo.backlog > opened_with).await?;
        anyhow::ensure!(polls, "the gateway came up and polls nothing");
        self.line.give(Order::Work);
        self.watch(AWAY_AGAIN).await
    }

    async fn broker_returns(&mut self) -> anyhow::Result<()> {
        self.phase("4  The broker returns", "The backlog drains in order, while the line works on.")?;
        self.link.up()?;
        self.broker_is = Reach::There;
        self.watch(BACK).await
    }

    async fn plant_stops(&mut self) -> anyhow::Result<()> {
        self.phase("5  The shift ends", "The counters are final; the last events arrive.")?;
        self.line.give(Order::ShutDown);
        self.watch_until(LINE_DEADLINE, |demo| demo.line.state() == LineState::Stopped).await?;
        let arrived = |demo: &Self| demo.backlog == Some(0) && demo.judged_clean();
        if !self.watch_until(DRAIN_DEADLINE, arrived).await? {
            self.note("not everything arrived in time")?;
        }
        self.watch(AFTERMATH).await
    }

    fn prove(&mut self) -> anyhow::Result<bool> {
        let truth = self.truth();
        let verdict = self.witness.look(|testimony| testimony.judge(&truth));
        proof::show(&mut self.screen, &truth, &verdict, self.made_while_dead)?;
        Ok(verdict.is_clean())
    }

    fn judged_clean(&self) -> bool {
        let truth = self.truth();
        self.witness.look(|testimony| testimony.judge(&truth)).is_clean()
    }

    fn truth(&self) -> Truth {
        self.line.truth(SOURCE)
    }

    fn pieces(&self) -> u64 {
        self.truth().counters.values().map(|count| count.made).sum()
    }

    fn phase(&mut self, title: &str, explanation: &str) -> anyhow::Result<()> {
        let title = self.screen.paint(Look::Strong, title);
        let explanation = self.screen.paint(Look::Faint, explanation);
        Ok(self.screen.say(&format!("\n{title}\n   {explanation}"))?)
    }

    fn note(&mut self, text: &str) -> anyhow::Result<()> {
        let line = format!("   {}  {text}", self.clock());
        Ok(self.screen.say(&line)?)
    }

    async fn watch(&mut self, time: Duration) -> anyhow::Result<()> {
        self.watch_until(time, |_| false).await.map(drop)
    }

    /// Keeps the live line going until `condition` holds or `deadline` has passed; says which.
    async fn watch_until(
        &mut self,
        deadline: Duration,
        condition: impl Fn(&Self) -> bool,
    ) -> anyhow::Result<bool> {
        let began = Instant::now();
        loop {
            self.gateway.check()?;
            self.ask_for_backlog().await;
            let line = self.live_line();
            self.screen.live(&line)?;
            if condition(self) {
                return Ok(true);
            }
            if began.elapsed() >= deadline {
                return Ok(false);
            }
            tokio::time::sleep(FRAME).await;
        }
    }

    async fn ask_for_backlog(&mut self) {
        if !self.gateway.runs() {
            self.backlog = None;
        } else if self.backlog_asked.is_none_or(|asked| asked.elapsed() >= BACKLOG_INTERVAL) {
            self.backlog = self.gateway.backlog().await;
            self.backlog_asked = Some(Instant::now());
        }
    }

    fn live_line(&self) -> String {
        let heard = self.witness.look(|testimony| testimony.received().len()) as u64;
        let backlog = self.backlog.map_or("–".to_owned(), grouped);
        let health = match (self.gateway.runs(), self.broker_is) {
            (false, _) => self.screen.paint(Look::Bad, "gateway dead"),
            (true, Reach::Away) => self.screen.paint(Look::Warning, "broker away"),
            (true, Reach::There) => self.screen.paint(Look::Good, "all up"),
        };
        // Under 80 columns: a line that wraps cannot be drawn over.
        format!(
            "   {}  {:<7}  made {:>6}  received {:>6}  backlog {backlog:>5}  {health}",
            self.clock(),
            self.line.state().name(),
            grouped(self.pieces()),
            grouped(heard),
        )
    }

    fn clock(&self) -> String {
        let seconds = self.began.elapsed().as_secs();
        format!("{:02}:{:02}", seconds / 60, seconds % 60)
    }
}
