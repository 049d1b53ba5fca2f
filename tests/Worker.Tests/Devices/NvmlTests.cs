using System.Diagnostics.Metrics;
using System.Runtime.InteropServices;
using Cluster.Contracts.V1;
using Cluster.Tests.Shared;
using Cluster.Worker.Agent;
using Cluster.Worker.Devices;
using Cluster.Worker.Telemetry;
using Cluster.Worker.Tests.Training;
using Microsoft.Extensions.Time.Testing;

namespace Cluster.Worker.Tests.Devices;

/// <summary>NVML's C interface against a library of the same shape, since few machines that run these tests have a GPU.</summary>
public sealed class NvmlTests : IDisposable
{
    private const int GpuIsLost = 15;

    private static readonly GpuCard Whole = new(0, "GPU-aaaa", "0000:17:00.0");
    private static readonly GpuCard Divided = new(1, "GPU-bbbb", "0000:ca:00.0");

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("nvml-tests-");
    private readonly CollectedLogs _logs = new();
    private readonly FakeTimeProvider _time = new();
    private string? _library;

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public void Gpus_AreCards_AndOfACardInMigModeItsInstances()
    {
        using var nvml = Open();

        nvml.Gpus().ShouldBe([
            new Gpu("GPU-aaaa", "NVIDIA H200", 1_000_000, Whole),
            new Gpu("MIG-1111", "NVIDIA A100 MIG 1g.5gb", 10_000_000, Divided) { InstanceName = "MIG-GPU-bbbb/7/0" },
            new Gpu("MIG-2222", "NVIDIA A100 MIG 1g.5gb", 12_000_000, Divided) { InstanceName = "MIG-GPU-bbbb/9/0" },
        ]);
        nvml.DriverVersion().ShouldBe("580.1");
    }

    [Fact]
    public void Reading_OfAnInstance_IsItsMemoryAndItsCardsErrors()
    {
        using var nvml = Open();
        var gpus = nvml.Gpus();

        nvml.Read(gpus[0]).ShouldBe(new GpuReading
        {
            Utilization = 0.37,
            UsedMemoryBytes = 1000,
            TemperatureCelsius = 61,
            PowerWatts = 512.3,
            CorrectedEccErrors = 41,
            UncorrectedEccErrors = 2,
        });
        nvml.Read(gpus[2]).ShouldBe(new GpuReading { UsedMemoryBytes = 12_000, CorrectedEccErrors = 42, UncorrectedEccErrors = 2 });
    }

    [Fact]
    public void Reading_OfAGpuThatFellOffTheBus_IsNothing()
    {
        using var nvml = Open();
        var gpus = nvml.Gpus();
        Lose(1);

        nvml.Read(gpus[0]).ShouldBe(new GpuReading());
    }

    [Fact]
    public void Monitor_OfGpus_SaysWhatEachSaysOfItself_AndTheFaultsOfItsCard()
    {
        using var gpus = OpenGpus();
        var devices = DeviceDiscovery.Find(new Worker.Agent.AgentOptions(), gpus.Offered, cores: 1, new MachineMemory());
        var monitor = new DeviceMonitor(devices, gpus, _time);
        ShouldAnswer(gpus);
        Fault(card: 2, xid: 79);
        SpinWait.SpinUntil(() => _logs.All.Any(text => text.Contains("XID 79", StringComparison.Ordinal)), TimeSpan.FromSeconds(60))
            .ShouldBeTrue();

        monitor.Measure(_ => null).ShouldBe(
        [
            new DeviceMeasurement
            {
                Device = "cuda:0",
                Utilization = 0.37,
                Gpu = new GpuHealth
                {
                    TemperatureCelsius = 61,
                    PowerWatts = 512.3,
                    UsedMemoryBytes = 1000,
                    CorrectedErrors = 41,
                    UncorrectedErrors = 2,
                },
            },
            new DeviceMeasurement { Device = "cuda:1", Gpu = Instance(usedBytes: 10000) },
            new DeviceMeasurement { Device = "cuda:2", Gpu = Instance(usedBytes: 12000) },
        ]);

        // Two instances of one card, which tells no more of itself.
        static GpuHealth Instance(long usedBytes) => new()
        {
            UsedMemoryBytes = usedBytes,
            CorrectedErrors = 42,
            UncorrectedErrors = 2,
            Xids = { { 79, 1 } },
        };
    }

    [Fact]
    public void Metrics_HaveTheFiguresOfEveryGpuAndTheErrorsOfEveryCard()
    {
        using var gpus = OpenGpus();
        ShouldAnswer(gpus);
        Fault(card: 2, xid: 79);
        SpinWait.SpinUntil(() => _logs.Warnings.Count > 0, TimeSpan.FromSeconds(60)).ShouldBeTrue();
        _logs.Warnings.ShouldHaveSingleItem().ShouldContain("XID 79");
        var measured = new List<string>();
        using var listener = new MeterListener
        {
            InstrumentPublished = (instrument, listener) =>
            {
                if (instrument.Meter.Name == WorkerTelemetry.AgentName && instrument.Name.StartsWith("hw.", StringComparison.Ordinal))
                    listener.EnableMeasurementEvents(instrument);
            },
        };
        listener.SetMeasurementEventCallback<double>((instrument, value, tags, _) => measured.Add(Shown(instrument, value, tags)));
        listener.SetMeasurementEventCallback<long>((instrument, value, tags, _) => measured.Add(Shown(instrument, value, tags)));
        listener.Start();
        listener.RecordObservableInstruments();

        string[] expected =
            [
                "hw.gpu.utilization 0.37 1 cuda:0 gpu",
                "hw.gpu.memory.usage 1000 By cuda:0 gpu", "hw.gpu.memory.usage 10000 By cuda:1 gpu",
                "hw.gpu.memory.usage 12000 By cuda:2 gpu",
                "hw.gpu.memory.limit 1000000 By cuda:0 gpu", "hw.gpu.memory.limit 10000000 By cuda:1 gpu",
                "hw.gpu.memory.limit 12000000 By cuda:2 gpu",
                "hw.temperature 61 Cel cuda:0 gpu", "hw.power 512.3 W cuda:0 gpu",
                "hw.errors 41 {error} cuda:0 gpu corrected", "hw.errors 2 {error} cuda:0 gpu uncorrected",
                "hw.errors 42 {error} GPU-bbbb gpu corrected", "hw.errors 2 {error} GPU-bbbb gpu uncorrected",
                "hw.errors 1 {error} GPU-bbbb gpu xid_79",
            ];
        expected.Except(measured).ShouldBeEmpty(); // a machine with GPUs may tell of them too
        measured.Count(line => line.Contains("GPU-bbbb", StringComparison.Ordinal)).ShouldBe(3);

        static string Shown<T>(Instrument instrument, T value, ReadOnlySpan<KeyValuePair<string, object?>> tags) =>
            FormattableString.Invariant($"{instrument.Name} {value} {instrument.Unit} ")
            + string.Join(' ', tags.ToArray().Select(tag => tag.Value));
    }

    [Fact]
    public async Task Monitor_WhereTheDriverHangs_SaysAtOnceWhatItSaidBefore_AndSinceWhenItDoesNotAnswer()
    {
        using var gpus = OpenGpus();
        var devices = DeviceDiscovery.Find(new Worker.Agent.AgentOptions(), gpus.Offered, cores: 1, new MachineMemory());
        var monitor = new DeviceMonitor(devices, gpus, _time);
        ShouldAnswer(gpus);
        Hang(true);
        try
        {
            Spin(() => Is("held"));
            (await MeasureAsync()).ShouldAllBe(device => device.Gpu.Unanswered == null);
            _time.Advance(TimeSpan.FromSeconds(45));

            var measured = await MeasureAsync();

            measured[0].Utilization.ShouldBe(0.37);
            measured.Select(device => device.Gpu.UsedMemoryBytes).ShouldBe([1000, 10_000, 12_000]);
            measured.ShouldAllBe(device => device.Gpu.Unanswered.ToTimeSpan() == TimeSpan.FromSeconds(45));
            await MeasureAsync();
            _logs.Warnings.ShouldHaveSingleItem().ShouldContain("has not answered for 45 s");
        }
        finally
        {
            Hang(false);
        }

        Spin(() => monitor.Measure(_ => null).All(device => device.Gpu.Unanswered is null));
        _logs.All[^1].ShouldBe("The GPUs' driver answers again");

        // Beside the test: it would wait with a call that does.
        Task<IReadOnlyList<DeviceMeasurement>> MeasureAsync() => Task.Factory.StartNew(
                () => monitor.Measure(_ => null), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default)
            .WaitAsync(TimeSpan.FromSeconds(60));
    }

    [Fact]
    public void TheEnd_WhereTheDriverHangs_IsNotHeldUp_AndTheLibraryStaysForTheThreadThatIsInIt()
    {
        var gpus = OpenGpus();
        Hang(true);
        Spin(() => Is("held"));

        gpus.Dispose();

        Is("shut").ShouldBeFalse();
        Hang(false);
        using (OpenGpus())
            Is("shut").ShouldBeFalse();
        Is("shut").ShouldBeTrue("nobody is in it");
    }

    [Fact]
    public void Faults_WhereTheDriverFails_EndInAWord()
    {
        using var gpus = OpenGpus();
        Fault(card: 1, xid: -9);

        SpinWait.SpinUntil(() => _logs.All.Count > 0, TimeSpan.FromSeconds(60)).ShouldBeTrue();
        _logs.All.ShouldHaveSingleItem().ShouldBe("Faults of GPUs are not told any more: nvmlEventSetWait_v2 answered 9");
    }

    /// <summary>It says no more who it is, and from then on the driver answers that a card is lost.</summary>
    [Fact]
    public void Faults_OfACardThatIsLost_AreTold_AndSoAreThoseOfTheOthers()
    {
        using var gpus = OpenGpus();
        Lose(1);
        Fault(card: 1, xid: 79);
        Spin(() => _logs.All.Count > 0);
        Fault(card: 1, xid: -GpuIsLost);
        Spin(() => _logs.All.Count > 1);
        Fault(card: 2, xid: 13);
        Spin(() => _logs.All.Count > 2);

        _logs.All.Select(text => text.Split(';')[0]).ShouldBe(
        [
            "GPU-aaaa has met a fault, XID 79",
            $"Not every GPU tells its faults: nvmlDeviceRegisterEvents of GPU-aaaa answered {GpuIsLost}",
            "GPU-bbbb has met a fault, XID 13",
        ]);
    }

    [Fact]
    public void Faults_WhereAllCardsAreLost_EndInAWord()
    {
        using var gpus = OpenGpus();
        Lose(1, 2);
        Fault(card: 1, xid: -GpuIsLost);

        Spin(() => _logs.All.Count > 1);
        _logs.All[^1].ShouldBe("Faults of GPUs are not told any more: nvmlEventSetWait_v2 answered that a GPU is lost");
    }

    [Fact]
    public void Faults_OfCardsThatTellNone_AreNotWaitedFor()
    {
        using var nvml = Open(watch: 3);
        using var faults = new GpuFaults(nvml, [Whole], _logs.CreateLogger("faults"));
        Fault(card: 1, xid: 13);

        faults.All.ShouldBeEmpty();
        _logs.All.ShouldHaveSingleItem().ShouldBe("Not every GPU tells its faults: nvmlDeviceRegisterEvents of GPU-aaaa answered 3");
        nvml.Watch([Whole], out _).ShouldBeNull();
    }

    [Fact]
    public void ADriver_ThatDoesNotWorkOrIsNotThere_IsNoGpuAndSaysWhy()
    {
        Nvml.TryOpen(out var broken, Compile(initializes: false)).ShouldBeNull();
        broken.ShouldBe("nvmlInit_v2 answered 9");

        Nvml.TryOpen(out var absent, "libno-such-library.so.1").ShouldBeNull();
        absent.ShouldBe("libno-such-library.so.1 is not on this machine");

        var source = NvmlLibrary.Source.Replace("nvmlDeviceGetMigMode", "older", StringComparison.Ordinal);
        Nvml.TryOpen(out var old, Compile(source: source)).ShouldBeNull();
        old.ShouldContain("is of a driver that is too old");
        old.ShouldContain("nvmlDeviceGetMigMode");
    }

    private NodeGpus OpenGpus()
    {
        var nvml = Open();
        var offered = GpuNumbers.Keep(Path.Combine(_folder.FullName, "gpus"), nvml.Gpus());
        return new NodeGpus(nvml, offered, [0], new HostTopology(_folder.FullName), _time, _logs.CreateLogger("gpus"));
    }

    private static void ShouldAnswer(NodeGpus gpus) => Spin(() => gpus.Offered.All(gpu => gpus.Measure(gpu.Id).Gpu.HasUsedMemoryBytes));

    private static void Spin(Func<bool> until) => SpinWait.SpinUntil(until, TimeSpan.FromSeconds(60)).ShouldBeTrue();

    private Nvml Open(int watch = 0) => Nvml.TryOpen(out _, Compile(watch: watch)).ShouldNotBeNull();

    private nint Function(string name) => NativeLibrary.GetExport(NativeLibrary.Load(_library!), name);

    private unsafe bool Is(string state) => ((delegate* unmanaged<int>)Function($"is_{state}"))() == 1;

    private unsafe void Hang(bool on) => ((delegate* unmanaged<int, void>)Function("hang"))(on ? 1 : 0);

    private unsafe void Lose(params int[] cards) =>
        ((delegate* unmanaged<int, void>)Function("lose"))(cards.Sum(card => 1 << card));

    private unsafe void Fault(int card, int xid) => ((delegate* unmanaged<int, int, void>)Function("fault"))(card, xid);

    private string Compile(bool initializes = true, int watch = 0, string source = NvmlLibrary.Source)
    {
        _library = Path.Combine(_folder.FullName, $"libnvml-{Guid.NewGuid():N}.so");
        NvmlLibrary.Compile(_library, source, initializes ? 0 : 9, watch);
        return _library;
    }
}
