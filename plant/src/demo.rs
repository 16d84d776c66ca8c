//! The demo: the real gateway between the simulated plant and a broker, through an outage and a
//! SIGKILL, told on the terminal, with a proof at the end. It uses only what the gateway shows to
//! anyone: its command line, its events and its status.

mod gateway;
mod plant;
mod proof;
mod screen;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use penstock_plant::broker::Broker;
use penstock_plant::link::Link;
use penstock_plant::press_line::Order;
use penstock_plant::witness::Witness;

use gateway::{Account, Gateway};
use plant::Plant;
use screen::{Look, Screen, grouped};

const FREE_PORT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// The press and the oven: a source each.
const MACHINES: usize = 2;

/// How often the live line is drawn.
const FRAME: Duration = Duration::from_millis(100);
/// How often the gateway is asked how it is: each question is a process of its own.
const ACCOUNT_INTERVAL: Duration = Duration::from_millis(400);

/// How long each part of the story is watched.
const FLOWING: Duration = Duration::from_secs(9);
const AWAY: Duration = Duration::from_secs(7);
const DEAD: Duration = Duration::from_secs(4);
/// Long enough for the last change of a state to be polled, told and on disk, also on a busy machine.
const SETTLED: Duration = Duration::from_secs(2);
const AWAY_AGAIN: Duration = Duration::from_secs(4);
const BACK: Duration = Duration::from_secs(6);
/// After everything has arrived: time for what must not come any more, such as a second copy.
const AFTERMATH: Duration = Duration::from_secs(2);
/// A first start on a cold, busy machine.
const START_DEADLINE: Duration = Duration::from_secs(20);
/// Far more than a few thousand events need.
const DRAIN_DEADLINE: Duration = Duration::from_secs(20);
/// The press may be in any state and has to get through a setup, the oven has to get hot or cold.
const PLANT_DEADLINE: Duration = Duration::from_secs(15);

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
    plant: Plant,
    witness: Witness,
    gateway: Gateway,
    link: Link,
    broker_is: Reach,
    account: Option<Account>,
    asked: Option<Instant>,
    made_while_dead: u64,
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
        let plant = Plant::start(seed).await?;
        let broker = Broker::start(FREE_PORT).await?;
        let link = Link::to(broker.address()).await?;
        // Past the link: the witness hears the broker whether or not the gateway can reach it.
        let witness = Witness::subscribe(broker.address(), "#").await?;
        let gateway = Gateway::new(gateway_bin, &plant, link.address())?;
        Ok(Self {
            screen: Screen::new(),
            began: Instant::now(),
            plant,
            witness,
            gateway,
            link,
            broker_is: Reach::There,
            account: None,
            asked: None,
            made_while_dead: 0,
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
            "A press over Modbus TCP and an oven over OPC UA, one gateway, an MQTT 5 broker.",
        )?;
        self.gateway.start()?;
        // Both machines wait to be seen once, so that their first pieces are some that can be counted.
        let seen = |demo: &Self| {
            let states = demo.witness.look(|testimony| {
                testimony.received().iter().filter(|event| event.kind == "machine.state_changed").count()
            });
            states == MACHINES && demo.all_sources_are_up()
        };
        anyhow::ensure!(
            self.watch_until(START_DEADLINE, seen).await?,
            "the gateway did not see both machines within {START_DEADLINE:?}"
        );
        self.plant.give(Order::Work);
        self.watch(FLOWING).await
    }

    async fn broker_goes_away(&mut self) -> anyhow::Result<()> {
        self.phase(
            "2  The broker goes away",
            "What the machines do goes on, and is kept on the gateway's disk.",
        )?;
        self.link.down().await?;
        self.broker_is = Reach::Away;
        self.plant.give(Order::KeepRunning);
        self.watch(AWAY).await?;
        let running = self.watch_until(PLANT_DEADLINE, |demo| demo.plant.runs()).await?;
        anyhow::ensure!(running, "the machines did not get running");
        self.watch(SETTLED).await
    }

    async fn gateway_is_killed(&mut self) -> anyhow::Result<()> {
        self.phase(
            "3  The gateway is killed",
            "SIGKILL, with its backlog on disk. Press and oven go on working.",
        )?;
        let before = self.plant.pieces();
        self.plant.unheard_from_here();
        self.gateway.kill().await?;
        self.watch(DEAD).await?;
        self.made_while_dead = self.plant.pieces() - before;
        self.gateway.start()?;
        self.note("started again")?;
        let listens = self.watch_until(START_DEADLINE, Self::all_sources_are_up).await?;
        anyhow::ensure!(listens, "the gateway did not listen again within {START_DEADLINE:?}");
        self.plant.heard_again();
        let opened_with = self.backlog();
        // The machines may change their states again once the present ones were seen.
        let polls = self.watch_until(START_DEADLINE, |demo| demo.backlog() > opened_with).await?;
        anyhow::ensure!(polls, "the gateway came up and polls nothing");
        self.plant.give(Order::Work);
        self.watch(AWAY_AGAIN).await
    }

    async fn broker_returns(&mut self) -> anyhow::Result<()> {
        self.phase("4  The broker returns", "The backlog drains in order, while the machines work on.")?;
        self.link.up()?;
        self.broker_is = Reach::There;
        self.watch(BACK).await
    }

    async fn plant_stops(&mut self) -> anyhow::Result<()> {
        self.phase("5  The shift ends", "The counters are final; the last events arrive.")?;
        self.plant.give(Order::ShutDown);
        self.watch_until(PLANT_DEADLINE, |demo| demo.plant.stands()).await?;
        // The oven would be cooling for a while yet.
        self.plant.give(Order::Hold);
        let arrived = |demo: &Self| demo.backlog() == Some(0) && demo.judged_clean();
        if !self.watch_until(DRAIN_DEADLINE, arrived).await? {
            self.note("not everything arrived in time")?;
        }
        self.watch(AFTERMATH).await
    }

    fn prove(&mut self) -> anyhow::Result<bool> {
        let truth = self.plant.truth();
        let verdict = self.witness.look(|testimony| testimony.judge(&truth));
        proof::show(&mut self.screen, &truth, &verdict, self.made_while_dead)?;
        Ok(verdict.is_clean())
    }

    fn judged_clean(&self) -> bool {
        let truth = self.plant.truth();
        self.witness.look(|testimony| testimony.judge(&truth)).is_clean()
    }

    fn all_sources_are_up(&self) -> bool {
        self.account.is_some_and(|account| account.sources_up == MACHINES)
    }

    fn backlog(&self) -> Option<u64> {
        self.account.map(|account| account.backlog)
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
            self.ask().await;
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

    async fn ask(&mut self) {
        if !self.gateway.runs() {
            self.account = None;
        } else if self.asked.is_none_or(|asked| asked.elapsed() >= ACCOUNT_INTERVAL) {
            self.account = self.gateway.account().await;
            self.asked = Some(Instant::now());
        }
    }

    fn live_line(&self) -> String {
        let heard = self.witness.look(|testimony| testimony.received().len()) as u64;
        let backlog = self.backlog().map_or("–".to_owned(), grouped);
        let health = match (self.gateway.runs(), self.broker_is) {
            (false, _) => self.screen.paint(Look::Bad, "killed"),
            (true, Reach::Away) => self.screen.paint(Look::Warning, "no broker"),
            (true, Reach::There) => self.screen.paint(Look::Good, "all up"),
        };
        // Under 80 columns: a line that wraps cannot be drawn over.
        format!(
            "   {}  {:<15}  made {:>5}  received {:>5}  backlog {backlog:>5}  {health}",
            self.clock(),
            self.plant.doing(),
            grouped(self.plant.pieces()),
            grouped(heard),
        )
    }

    fn clock(&self) -> String {
        let seconds = self.began.elapsed().as_secs();
        format!("{:02}:{:02}", seconds / 60, seconds % 60)
    }
}
