//! The press line as a Modbus client sees it, read with a client library that the server does not use.
#![allow(clippy::unwrap_used)]

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use penstock_plant::modbus_server::{BitTable, Device, Exception, ModbusServer, RegisterTable};
use penstock_plant::press_line::registers::UNIT;
use penstock_plant::press_line::{DEMO_TIME_SCALE, LineState, Order, PressLine};
use tokio_modbus::client::{Context, Reader, tcp};
use tokio_modbus::{ExceptionCode, Slave};

/// A line that lives only when the test says so.
struct Still(Mutex<PressLine>);

impl Device for Still {
    fn bits(&self, table: BitTable, first: u16, count: u16) -> Result<Vec<bool>, Exception> {
        self.0.lock().unwrap().bits(table, first, count)
    }

    fn registers(&self, table: RegisterTable, first: u16, count: u16) -> Result<Vec<u16>, Exception> {
        self.0.lock().unwrap().registers(table, first, count)
    }
}

struct Bench {
    line: Arc<Still>,
    server: ModbusServer,
    client: Context,
}

impl Bench {
    async fn new() -> Self {
        let line = Arc::new(Still(Mutex::new(PressLine::new(1, DEMO_TIME_SCALE))));
        let free: SocketAddr = (Ipv4Addr::LOCALHOST, 0).into();
        let server = ModbusServer::start(free, UNIT, Arc::clone(&line) as Arc<dyn Device>).await.unwrap();
        let client = tcp::connect_slave(server.address(), Slave(UNIT)).await.unwrap();
        Self { line, server, client }
    }

    async fn holding(&mut self, first: u16, count: u16) -> Vec<u16> {
        self.client.read_holding_registers(first, count).await.unwrap().unwrap()
    }

    fn live_until(&self, order: Order, now: Duration) {
        let mut line = self.line.0.lock().unwrap();
        line.give(order);
        line.advance(now);
    }
}

#[tokio::test]
async fn counters_in_the_registers_are_those_of_the_truth_across_a_rollover() {
    let mut bench = Bench::new().await;
    let mut rollovers = 0;
    for second in 0..30 {
        bench.live_until(Order::Work, Duration::from_secs(second));
        let registers = bench.holding(102, 3).await;
        let truth = bench.line.0.lock().unwrap().truth("press-1");
        let (good, scrap) = (truth.counters["press-1.good"], truth.counters["press-1.scrap"]);
        assert_eq!(u64::from(registers[0]), (65_400 + good.made) % 65_536);
        // CDAB: the low word comes first.
        let shown = u64::from(registers[2]) << 16 | u64::from(registers[1]);
        assert_eq!(shown, 0x000F_FFF8 + scrap.made);
        rollovers = good.rollovers();
    }
    assert_eq!(rollovers, 1);
}

#[tokio::test]
async fn every_row_of_the_register_map_decodes_to_something_believable() {
    let mut bench = Bench::new().await;
    bench.live_until(Order::KeepRunning, Duration::from_secs(20));

    assert_eq!(bench.holding(100, 2).await, [LineState::Running.code(), 0]);
    let decibar = bench.holding(105, 1).await[0].cast_signed();
    assert!((1_500..2_100).contains(&decibar), "{decibar} decibar");
    let order: Vec<u8> =
        bench.holding(110, 10).await.iter().flat_map(|register| register.to_be_bytes()).collect();
    assert_eq!(String::from_utf8(order).unwrap().trim_end_matches('\0'), "WO-2031-00418");

    let input = bench.client.read_input_registers(10, 4).await.unwrap().unwrap();
    let float = |high: u16, low: u16| f32::from_bits(u32::from(high) << 16 | u32::from(low));
    let (die, oil) = (float(input[0], input[1]), float(input[3], input[2]));
    assert!((60.0..90.0).contains(&die) && (35.0..60.0).contains(&oil), "die {die} °C, oil {oil} °C");

    assert_eq!(bench.client.read_coils(0, 1).await.unwrap().unwrap(), [true]);
    assert_eq!(bench.client.read_discrete_inputs(0, 4).await.unwrap().unwrap(), [false; 4]);
}

#[tokio::test]
async fn what_is_outside_the_map_or_another_unit_gets_an_exception() {
    let mut bench = Bench::new().await;
    let outside = bench.client.read_holding_registers(99, 2).await.unwrap();
    assert_eq!(outside, Err(ExceptionCode::IllegalDataAddress));
    let beyond = bench.client.read_holding_registers(119, 2).await.unwrap();
    assert_eq!(beyond, Err(ExceptionCode::IllegalDataAddress));

    let mut stranger = tcp::connect_slave(bench.server.address(), Slave(UNIT + 1)).await.unwrap();
    let answer = stranger.read_holding_registers(100, 1).await.unwrap();
    assert_eq!(answer, Err(ExceptionCode::GatewayTargetDevice));
}
