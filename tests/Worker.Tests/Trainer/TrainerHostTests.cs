using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Worker.Collectives;
using Cluster.Worker.Devices.Cuda;
using Cluster.Worker.Tests.Agent;
using Cluster.Worker.Trainer;
using Cluster.Worker.Training;
using Microsoft.Extensions.Logging.Abstractions;
using static Cluster.Worker.Tests.Agent.RunningAgent;

namespace Cluster.Worker.Tests.Trainer;

/// <summary>The trainer's process in this one, attached to a real agent; a waiting script holds its place there.</summary>
public sealed class TrainerHostTests : AgentTest
{
    private static readonly Task Never = new TaskCompletionSource().Task;

    [Fact]
    public async Task Session_ThatEnds_GivesItsExitCodeAndHasReported()
    {
        await using var agent = await StartAsync(Scheduler, Waiting, End);
        var launch = ALaunch();
        await agent.LaunchAsync(launch, End);
        var session = new Session((context, _) =>
        {
            context.Reporter.Started();
            context.Reporter.Metric(MetricNames.TrainLoss, step: 7, epoch: 1, value: 0.5);
            return TrainerOutcome.Done;
        });

        (await RunAsync(agent, launch, session)).ShouldBe(TrainerExit.Done);

        var points = new List<MetricPoint>();
        var started = false;
        while (points.Count == 0 || !started)
        {
            var report = await Scheduler.Reports.Reader.ReadAsync(End);
            started |= report.Started;
            points.AddRange(report.Points);
        }

        (points.Single().Name, points.Single().Step, points.Single().Value).ShouldBe(("train/loss", 7L, 0.5));
        session.Thread.ShouldBe("training");
    }

    [Fact]
    public async Task Session_ThatThrows_LeavesItsMessageWithTheExit()
    {
        await using var agent = await StartAsync(Scheduler, Waiting, End);
        var launch = ALaunch();
        await agent.LaunchAsync(launch, End);

        var code = await RunAsync(
            agent, launch, new Session((_, _) => throw new InvalidDataException("rank 1 sent nothing for 30 s in gradients/3")));
        await agent.StopAsync(launch, TimeSpan.Zero, "over", End);

        code.ShouldBe(TrainerHost.Failed);
        (await Scheduler.Exits.Reader.ReadAsync(End)).Message.ShouldBe("InvalidDataException: rank 1 sent nothing for 30 s in gradients/3");
    }

    /// <summary>The same job would ask for the same again: the scheduler ends a job on this code.</summary>
    [Fact]
    public async Task Session_WithoutTheMemory_SaysWhatItAskedForAndExitsWith71()
    {
        await using var agent = await StartAsync(Scheduler, Waiting, End);
        var launch = ALaunch();
        await agent.LaunchAsync(launch, End);

        var code = await RunAsync(agent, launch, new Session((_, _) =>
        {
            using var tensor = TorchSharp.torch.empty(1L << 50);
            return TrainerOutcome.Done;
        }));
        await agent.StopAsync(launch, TimeSpan.Zero, "over", End);

        code.ShouldBe(TrainerExit.OutOfMemory);
        var message = (await Scheduler.Exits.Reader.ReadAsync(End)).Message;
        message.ShouldContain("you tried to allocate 4503599627370496 bytes");
        message.ShouldContain("lower hyperparameters.globalBatchSize");
    }

    [Theory]
    [InlineData(
        "CUDA out of memory. Tried to allocate 20.00 MiB. GPU 0 has a total capacity of 139.80 GiB\nException raised from malloc at ...",
        true)]
    [InlineData("CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported", true)]
    [InlineData("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`", true)]
    [InlineData("CUDA error: an illegal memory access was encountered", false)]
    [InlineData("CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasSgemm`", false)]
    public void MemoryFault_IsToldFromOtherFaultsOfLibtorch(string text, bool expected)
    {
        var fault = new InvalidOperationException("rank 0 failed", new System.Runtime.InteropServices.ExternalException(text));

        MemoryFault.Find(fault).ShouldBe(expected ? text.Split('\n')[0] : null);
    }

    [Fact]
    public void MemoryFault_OfOurOwnCallsToTheDriver_IsToldToo()
    {
        var fault = new CollectiveException(
            CollectiveFault.DeviceFailed, peer: -1, "rank 0 cannot go on",
            new DeviceException("cuMemAlloc_v2 answers CUDA_ERROR_OUT_OF_MEMORY"));

        MemoryFault.Find(fault).ShouldBe("cuMemAlloc_v2 answers CUDA_ERROR_OUT_OF_MEMORY");
        MemoryFault.Find(new DeviceException("cuCtxSynchronize answers CUDA_ERROR_ILLEGAL_ADDRESS")).ShouldBeNull();
    }

    [Fact]
    public async Task Session_ThatIsAskedToStop_SeesItAndExitsWith75()
    {
        await using var agent = await StartAsync(Scheduler, Waiting, End);
        var launch = ALaunch();
        await agent.LaunchAsync(launch, End);
        await agent.StopAsync(launch, TimeSpan.FromMinutes(1), "paused by ann", End);

        var code = await RunAsync(agent, launch, new Session((context, cancellationToken) =>
        {
            context.Stop.Requested.WaitHandle.WaitOne();
            cancellationToken.IsCancellationRequested.ShouldBeFalse();
            return TrainerOutcome.Stopped(context.Stop.Reason);
        }));

        code.ShouldBe(TrainerExit.Stopped);
    }

    [Fact]
    public async Task Agent_ThatIsGone_EndsTheProcessWhateverTheSessionDoes()
    {
        await using var agent = await StartAsync(Scheduler, Waiting, End);
        var launch = ALaunch();
        await agent.LaunchAsync(launch, End);
        using var release = new ManualResetEventSlim();
        var begun = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var running = RunAsync(agent, launch, new Session((_, cancellationToken) =>
        {
            begun.SetResult();
            release.Wait(cancellationToken);
            return TrainerOutcome.Done;
        }));
        await begun.Task.WaitAsync(End);

        await agent.EndAsync(End);

        (await running.WaitAsync(End)).ShouldBe(TrainerHost.Failed);
    }

    [Fact]
    public async Task StandardInput_ThatCloses_EndsTheProcess()
    {
        await using var agent = await StartAsync(Scheduler, Waiting, End);
        var launch = ALaunch();
        await agent.LaunchAsync(launch, End);
        var agentEnds = new TaskCompletionSource();
        await using var host = new TrainerHost(
            agent.OrdersOf(launch),
            new Session((_, cancellationToken) =>
            {
                agentEnds.SetResult();
                cancellationToken.WaitHandle.WaitOne();
                return TrainerOutcome.Done;
            }),
            NullLoggerFactory.Instance, TimeProvider.System);

        (await host.RunAsync(agentEnds.Task).WaitAsync(End)).ShouldBe(TrainerHost.Failed);
    }

    private async Task<int> RunAsync(RunningAgent agent, LaunchRequest launch, Session session)
    {
        await using var host = new TrainerHost(agent.OrdersOf(launch), session, NullLoggerFactory.Instance, TimeProvider.System);
        return await host.RunAsync(Never).WaitAsync(End);
    }

    private sealed class Session(Func<TrainerContext, CancellationToken, TrainerOutcome> run) : ITrainingSession
    {
        public string? Thread { get; private set; }

        public TrainerOutcome Run(TrainerContext context, CancellationToken cancellationToken)
        {
            Thread = System.Threading.Thread.CurrentThread.Name;
            return run(context, cancellationToken);
        }
    }
}
