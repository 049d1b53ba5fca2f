using System.Diagnostics;
using Cluster.Contracts.V1;
using Cluster.Worker.Devices;
using Google.Protobuf;

namespace Cluster.Worker.Agent;

/// <summary>How a process ended.</summary>
/// <param name="ExitCode">Meaningful when <paramref name="Signal"/> is 0.</param>
/// <param name="Signal">What ended it, or 0.</param>
internal readonly record struct ProcessEnd(int ExitCode, int Signal)
{
    /// <summary>.NET gives 128 + the signal for a process that a signal ended, as shells do.</summary>
    public static ProcessEnd Decode(int code)
    {
        const int signalBase = 128, signals = 64;
        return code is > signalBase and <= signalBase + signals ? new ProcessEnd(0, code - signalBase) : new ProcessEnd(code, 0);
    }

    public override string ToString() => Signal == 0 ? $"exit code {ExitCode}" : $"signal {Signal}{Name(Signal)}";

    private static string Name(int signal) => signal switch
    {
        4 => " (SIGILL)",
        6 => " (SIGABRT)",
        7 => " (SIGBUS)",
        8 => " (SIGFPE)",
        Libc.Sigkill => " (SIGKILL)",
        11 => " (SIGSEGV)",
        Libc.Sigterm => " (SIGTERM)",
        _ => "",
    };
}

/// <summary>One trainer, from its fork until it is reaped and its last line read.</summary>
internal sealed class TrainerProcess
{
    // A process that the trainer started may hold its output open after it.
    private static readonly TimeSpan OutputPatience = TimeSpan.FromSeconds(2);

    private readonly Process _process;
    private readonly Action<LogStream, string> _onLine;

    private TrainerProcess(Process process, Action<LogStream, string> onLine)
    {
        _process = process;
        _onLine = onLine;
        Id = process.Id;
        StartTicks = ProcessTimes.TryRead(Id)?.StartTicks;
        var output = ReadAsync(process.StandardOutput.BaseStream, LogStream.Stdout);
        var errors = ReadAsync(process.StandardError.BaseStream, LogStream.Stderr);
        Ended = EndAsync(Task.WhenAll(output, errors));
    }

    public int Id { get; }

    /// <summary>With <see cref="Id"/> this names the process for good; null when it ended before it could be read.</summary>
    public long? StartTicks { get; }

    /// <summary>Ends when the process has been reaped and its output read.</summary>
    public Task<ProcessEnd> Ended { get; }

    /// <summary>Starts a trainer, which then waits for its orders. To be called on the <see cref="LaunchThread"/>.</summary>
    /// <param name="command">Program and first arguments.</param>
    /// <param name="arguments">The rest: ids, for people who look at ps.</param>
    /// <param name="environment">The whole environment.</param>
    /// <param name="onLine">Takes each line of its output, on a thread of its own for each stream.</param>
    /// <exception cref="System.ComponentModel.Win32Exception">The program cannot be started.</exception>
    public static TrainerProcess Start(
        IReadOnlyList<string> command, IEnumerable<string> arguments, IReadOnlyDictionary<string, string> environment,
        Action<LogStream, string> onLine)
    {
        var start = new ProcessStartInfo(command[0])
        {
            UseShellExecute = false,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        foreach (var argument in command.Skip(1).Concat(arguments))
            start.ArgumentList.Add(argument);
        start.Environment.Clear();
        foreach (var (name, value) in environment)
            start.Environment[name] = value;
        var process = Process.Start(start) ?? throw new InvalidOperationException($"{command[0]} did not start");
        try
        {
            return new TrainerProcess(process, onLine);
        }
        catch
        {
            // No thread can be had to read its output. Nobody else knows of it yet, so nobody else would end it.
            process.Kill();
            throw;
        }
    }

    /// <summary>Writes the orders. Standard input then stays open: its end tells the trainer that the agent is gone.</summary>
    public void GiveOrders(TrainerLaunch launch)
    {
        using var orders = new MemoryStream();
        launch.WriteDelimitedTo(orders);
        try
        {
            _process.StandardInput.BaseStream.Write(orders.GetBuffer(), 0, (int)orders.Length);
            _process.StandardInput.BaseStream.Flush();
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException)
        {
            // It has ended already. That is an end like any other, and is reported as one.
        }
    }

    public void Kill()
    {
        // Not by number: the process object knows whether it has been reaped, and the number given to another.
        if (!_process.HasExited)
            _process.Kill();
    }

    private async Task<ProcessEnd> EndAsync(Task output)
    {
        await _process.WaitForExitAsync(CancellationToken.None);
        await Task.WhenAny(output, Task.Delay(OutputPatience));
        var end = ProcessEnd.Decode(_process.ExitCode);
        await _process.StandardInput.BaseStream.DisposeAsync();
        return end;
    }

    // Reading blocks: a thread of its own, rather than one of the pool for the trainer's whole life.
    private Task ReadAsync(Stream stream, LogStream kind)
    {
        var done = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        new Thread(() => Read(stream, kind, done)) { Name = $"output of {Id}", IsBackground = true }.Start();
        return done.Task;
    }

    private void Read(Stream stream, LogStream kind, TaskCompletionSource done)
    {
        var cutter = new LineCutter(line => _onLine(kind, line));
        var buffer = new byte[64 * 1024];
        try
        {
            int read;
            while ((read = stream.Read(buffer)) > 0)
                cutter.Add(buffer.AsSpan(0, read));
        }
        catch (IOException e)
        {
            _onLine(LogStream.Agent, $"the trainer's output can be read no more: {e.Message}");
        }

        cutter.Finish();
        done.SetResult();
    }
}
