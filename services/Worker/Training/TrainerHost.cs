using System.Diagnostics;
using System.Runtime.InteropServices;
using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Worker.Agent;
using Cluster.Worker.Telemetry;

namespace Cluster.Worker.Training;

/// <summary>The trainer's process: takes its orders from standard input, trains on a thread of its own, and ends with its agent.</summary>
public sealed partial class TrainerHost : IAsyncDisposable
{
    /// <summary>What a trainer exits with when it fails: the scheduler restarts it.</summary>
    public const int Failed = 1;

    // Autograd walks a deep net's graph recursively.
    private const int TrainingStackBytes = 64 << 20;

    private static readonly TimeSpan FaultPatience = TimeSpan.FromSeconds(5);

    private readonly TrainerLaunch _launch;
    private readonly ITrainingSession _session;
    private readonly TimeProvider _timeProvider;
    private readonly ILoggerFactory _loggerFactory;
    private readonly ILogger _logger;
    private readonly TrainerHostLink _link;
    private readonly TrainerStop _stop;
    private readonly CancellationTokenSource _end = new();

    public TrainerHost(TrainerLaunch launch, ITrainingSession session, ILoggerFactory loggerFactory, TimeProvider timeProvider)
    {
        _launch = launch;
        _session = session;
        _timeProvider = timeProvider;
        _loggerFactory = loggerFactory;
        _logger = loggerFactory.CreateLogger<TrainerHost>();
        _link = new TrainerHostLink(launch, timeProvider);
        _stop = new TrainerStop(timeProvider);
    }

    /// <summary>The whole process.</summary>
    /// <param name="session">What to run.</param>
    public static async Task<int> RunProcessAsync(ITrainingSession session)
    {
        Libc.DieWithParent();
        using var terminate = LeaveToTheAgent(PosixSignal.SIGTERM);
        using var interrupt = LeaveToTheAgent(PosixSignal.SIGINT);
        using var hangUp = LeaveToTheAgent(PosixSignal.SIGHUP);
        using var input = Console.OpenStandardInput();
        var launch = TrainerLaunch.Parser.ParseDelimitedFrom(input);
        int exitCode;
        using (var loggerFactory = LoggerFactory.Create(logging => logging.AddSimpleConsole(console => console.SingleLine = true)))
        using (TelemetryExport.StartForTrainer(
            new("cluster.job.id", launch.JobId), new("cluster.attempt", launch.Attempt), new("cluster.rank", launch.Rank)))
        {
            await using var host = new TrainerHost(launch, session, loggerFactory, TimeProvider.System);
            exitCode = await host.RunAsync(EndOf(input));
        }

        // Not through the C library's exit: libtorch's static destructors race there with its threads. All that is ours is flushed.
        Libc.ExitNow(exitCode);
        return exitCode;
    }

    /// <summary>Attaches to the agent, trains, reports how it ended.</summary>
    /// <param name="agentEnds">Ends when the agent does, apart from the connection to it.</param>
    /// <returns>The exit code.</returns>
    public async Task<int> RunAsync(Task agentEnds)
    {
        _ = ActivityContext.TryParse(_launch.Traceparent, _launch.Tracestate, out var parent);
        using var activity = WorkerTelemetry.Trainer.StartActivity("trainer.run", ActivityKind.Internal, parent);
        activity?.SetTag("cluster.job.id", _launch.JobId).SetTag("cluster.attempt", _launch.Attempt).SetTag("cluster.rank", _launch.Rank);

        var detached = await _link.AttachAsync(_stop, _end.Token);
        var training = TrainOnItsThread();
        var first = await Task.WhenAny(training, detached, agentEnds);
        if (first != training)
        {
            LogAgentGone();
            await _end.CancelAsync();
            return Failed;
        }

        var outcome = await training;
        if (outcome.ExitCode is not (TrainerExit.Done or TrainerExit.Stopped))
            activity?.SetStatus(ActivityStatusCode.Error, outcome.Message);
        LogOutcome(outcome.ExitCode, outcome.Message);
        if (outcome.ExitCode != TrainerExit.Done)
            await ReportFaultAsync(outcome.Message);
        return outcome.ExitCode;
    }

    public async ValueTask DisposeAsync()
    {
        await _end.CancelAsync();
        _link.Dispose();
        _stop.Dispose();
        _end.Dispose();
    }

    // Whoever ends a whole process group or service ends the agent too, which then gives its trainers the time for a last checkpoint.
    private static PosixSignalRegistration LeaveToTheAgent(PosixSignal signal) =>
        PosixSignalRegistration.Create(signal, context => context.Cancel = true);

    // The agent writes once and then holds standard input open; reading on shows when it is closed.
    private static Task EndOf(Stream input)
    {
        var end = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        new Thread(() =>
        {
            while (input.ReadByte() >= 0)
            {
                // Nothing more is said.
            }

            end.SetResult();
        })
        { Name = "agent watch", IsBackground = true }.Start();
        return end.Task;
    }

    private Task<TrainerOutcome> TrainOnItsThread()
    {
        var outcome = new TaskCompletionSource<TrainerOutcome>(TaskCreationOptions.RunContinuationsAsynchronously);
        // In the background: when the agent is gone the process ends without waiting for a step.
        new Thread(() => outcome.SetResult(Train()), TrainingStackBytes) { Name = "training", IsBackground = true }.Start();
        return outcome.Task;
    }

    private TrainerOutcome Train()
    {
        try
        {
            return TrainAsync().GetAwaiter().GetResult();
        }
        catch (StaleAttemptException e)
        {
            return new TrainerOutcome(Failed, e.Message);
        }
        catch (Exception e) when (MemoryFault.Find(e) is { } missing)
        {
            LogFailed(e);
            return TrainerOutcome.OutOfMemory(missing);
        }
        catch (Exception e)
        {
            LogFailed(e);
            return new TrainerOutcome(Failed, $"{e.GetType().Name}: {e.Message}");
        }
    }

    // Runs on the training thread up to the session's end; the flush that follows may end on another.
    private async Task<TrainerOutcome> TrainAsync()
    {
        await using var context = new TrainerContext(_launch, _link, _stop, _loggerFactory, _timeProvider);
        try
        {
            return _session.Run(context, _end.Token);
        }
        catch
        {
            // A checkpoint under way waits for the other ranks' parts, which may never come.
            await context.CheckpointWriter.AbandonAsync();
            throw;
        }
    }

    private async Task ReportFaultAsync(string message)
    {
        try
        {
            await _link.ReportFaultAsync(message).WaitAsync(FaultPatience, _timeProvider, _end.Token);
        }
        catch (Exception e) when (e is Grpc.Core.RpcException or TimeoutException or StaleAttemptException)
        {
            // The exit code still tells that it failed.
            LogFaultUnsent(e);
        }
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "Training ended with exit code {ExitCode}. {Reason}")]
    private partial void LogOutcome(int exitCode, string reason);

    [LoggerMessage(Level = LogLevel.Error, Message = "Training failed")]
    private partial void LogFailed(Exception exception);

    [LoggerMessage(Level = LogLevel.Error, Message = "The agent is gone; ending")]
    private partial void LogAgentGone();

    [LoggerMessage(Level = LogLevel.Warning, Message = "The agent could not be told why")]
    private partial void LogFaultUnsent(Exception exception);
}
