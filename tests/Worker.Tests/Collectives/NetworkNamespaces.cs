using System.Diagnostics;

namespace Cluster.Worker.Tests.Collectives;

/// <summary>Two network namespaces joined by a pair of virtual interfaces: two hosts, as far as TCP can tell.</summary>
internal sealed class NetworkNamespaces : IDisposable
{
    private static int made;

    private readonly string[] names;

    private NetworkNamespaces(string[] names) => this.names = names;

    private string Interface { get; set; } = "";

    public static string AddressOf(int host) => $"10.231.7.{host + 1}";

    /// <summary>Makes them, or skips the test where this process lacks the right to.</summary>
    public static NetworkNamespaces Make()
    {
        var prefix = $"ct{Environment.ProcessId}-{Interlocked.Increment(ref made)}";
        var namespaces = new NetworkNamespaces([prefix + "a", prefix + "b"]);
        if (Execute("ip", "netns", "add", namespaces.names[0]) is { } refusal)
            Assert.Skip("network namespaces cannot be made here: " + refusal);
        try
        {
            Require("ip", "netns", "add", namespaces.names[1]);
            Require("ip", "link", "add", prefix + "0", "netns", namespaces.names[0], "type", "veth", "peer", "name", prefix + "1", "netns", namespaces.names[1]);
            for (var host = 0; host < 2; host++)
            {
                namespaces.On(host, "ip", "addr", "add", AddressOf(host) + "/24", "dev", prefix + host);
                namespaces.On(host, "ip", "link", "set", prefix + host, "up");
                namespaces.On(host, "ip", "link", "set", "lo", "up");
            }

            namespaces.Interface = prefix;
            return namespaces;
        }
        catch
        {
            namespaces.Dispose();
            throw;
        }
    }

    /// <summary>Delays and drops what either host sends, or skips the test where the kernel cannot.</summary>
    public void Disturb(string delay, string loss)
    {
        for (var host = 0; host < 2; host++)
        {
            string[] command = ["netns", "exec", names[host], "tc", "qdisc", "add", "dev", Interface + host, "root", "netem", "delay", delay, "loss", loss];
            if (Execute("ip", command) is { } refusal)
                Assert.Skip("the kernel cannot delay and drop packets: " + refusal);
        }
    }

    /// <summary>Cuts the hosts off from each other.</summary>
    public void Cut() => On(0, "ip", "link", "set", Interface + "0", "down");

    /// <summary>The command as one of a host's.</summary>
    public ProcessStartInfo On(int host, ProcessStartInfo command)
    {
        var start = new ProcessStartInfo("ip", ["netns", "exec", names[host], command.FileName, .. command.ArgumentList])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        foreach (var (name, value) in command.Environment)
            start.Environment[name] = value;
        return start;
    }

    public void Dispose()
    {
        foreach (var name in names)
            Execute("ip", "netns", "delete", name); // and its interfaces
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
