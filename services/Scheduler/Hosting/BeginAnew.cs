using System.Runtime.InteropServices;
using System.Text;
using Orleans.Runtime;

namespace Cluster.Scheduler.Hosting;

/// <summary>
/// What becomes of a silo that the others have declared dead, since it was paused for longer than they wait: its process begins anew.
/// </summary>
/// <remarks>
/// Such a silo may not go on: its grains live elsewhere by now. Orleans ends the process, for whoever restarts it. Where nobody does, one
/// pause would cost a scheduler for good. So the process runs its program again, under its own number, with the arguments, environment and
/// output that it was started with; whatever it had open, ports above all, is closed by that.
/// </remarks>
internal sealed partial class BeginAnew : IFatalErrorHandler
{
    public bool IsUnexpected(Exception exception) => true;

    public void OnFatalException(object? sender = null, string? context = null, Exception? exception = null)
    {
        if (exception is not null)
            Environment.FailFast($"{sender}: {context}", exception);
        // Past the logger: what it has in its queue is lost with this program.
        Console.Error.WriteLine($"The other schedulers take this one for dead, as after a pause; it begins anew. {sender}: {context}");
        var arguments = File.ReadAllBytes("/proc/self/cmdline");
        ExecuteAgain(Encoding.UTF8.GetString(arguments).TrimEnd('\0').Split('\0'));
        Environment.FailFast($"could not begin anew, error {Marshal.GetLastPInvokeError()}");
    }

    private static void ExecuteAgain(string[] arguments) => execv("/proc/self/exe", [.. arguments, null]);

    /// <summary>Returns only where it fails.</summary>
    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int execv(string path, string?[] arguments);
}
