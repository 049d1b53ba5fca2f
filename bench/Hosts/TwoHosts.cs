using System.ComponentModel;
using System.Diagnostics;

namespace Cluster.Bench.Hosts;

/// <summary>Two network namespaces joined by a cable: two hosts, as far as TCP can tell.</summary>
internal sealed class TwoHosts : IDisposable
{
    private static int made;

    private readonly string[] names;
    private readonly string[] interfaces;
    private Line? line;

    private TwoHosts(string prefix)
    {
        names = [prefix + "a", prefix + "b"];
        interfaces = [prefix + "0", prefix + "1"];
    }

    public static string AddressOf(int host) => $"10.231.7.{host + 1}";

    /// <summary>A host's end of the cable.</summary>
    public string InterfaceOf(int host) => interfaces[host];

    /// <param name="quality">Of the line; null for a pair of virtual interfaces, which is as fast as the kernel.</param>
    /// <exception cref="UnauthorizedAccessException">This process may make neither namespaces nor interfaces.</exception>
    public static TwoHosts Make(LineQuality? quality = null)
    {
        var hosts = new TwoHosts($"ct{Environment.ProcessId}-{Interlocked.Increment(ref made)}");
        if (Execute("ip", "netns", "add", hosts.names[0]) is { } refusal)
            throw new UnauthorizedAccessException("network namespaces cannot be made here: " + refusal);
        try
        {
            Require("ip", "netns", "add", hosts.names[1]);
            hosts.Join(quality);
            for (var host = 0; host < 2; host++)
            {
                hosts.On(host, "ip", "addr", "add", AddressOf(host) + "/24", "dev", hosts.interfaces[host]);
                hosts.On(host, "ip", "link", "set", hosts.interfaces[host], "up");
                hosts.On(host, "ip", "link", "set", "lo", "up");
            }

            return hosts;
        }
        catch
        {
            hosts.Dispose();
            throw;
        }
    }

    /// <summary>Cuts the hosts off from each other.</summary>
    public void Cut() => On(0, "ip", "link", "set", interfaces[0], "down");

    /// <summary>The command as one of a host's.</summary>
    public ProcessStartInfo On(int host, ProcessStartInfo command)
    {
        var start = new ProcessStartInfo("ip", ["netns", "exec", names[host], command.FileName, .. command.ArgumentList])
        {
            RedirectStandardInput = command.RedirectStandardInput,
            RedirectStandardOutput = command.RedirectStandardOutput,
            RedirectStandardError = command.RedirectStandardError,
        };
        start.Environment.Clear();
        foreach (var (name, value) in command.Environment)
            start.Environment[name] = value;
        return start;
    }

    public void Dispose()
    {
        foreach (var (name, end) in names.Zip(interfaces))
        {
            Execute("ip", "netns", "exec", name, "ip", "link", "delete", end);
            Execute("ip", "netns", "delete", name);
        }

        line?.Dispose();
    }

    private void Join(LineQuality? quality)
    {
        if (quality is null)
        {
            Require(
                "ip", "link", "add", interfaces[0], "netns", names[0], "type", "veth", "peer", "name", interfaces[1], "netns", names[1]);
            return;
        }

        try
        {
            line = new Line([.. interfaces.Select(name => new Tap(name))], quality.Value, seed: 1);
        }
        catch (Exception e) when (e is Win32Exception or IOException or UnauthorizedAccessException)
        {
            throw new UnauthorizedAccessException("network interfaces cannot be made here: " + e.Message, e);
        }

        foreach (var (name, end) in names.Zip(interfaces))
            Require("ip", "link", "set", end, "netns", name);
    }

    private void On(int host, params string[] command) => Require("ip", ["netns", "exec", names[host], .. command]);

    private static void Require(string program, params string[] arguments)
    {
        if (Execute(program, arguments) is { } fault)
            throw new InvalidOperationException($"{program} {string.Join(' ', arguments)}: {fault}");
    }

    /// <returns>What went wrong; null if nothing.</returns>
    private static string? Execute(string program, params string[] arguments)
    {
        using var process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardError = true })!;
        var error = process.StandardError.ReadToEnd().Trim();
        process.WaitForExit();
        return process.ExitCode == 0 ? null : error;
    }
}
