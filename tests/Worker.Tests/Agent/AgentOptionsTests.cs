using Cluster.Worker.Agent;
using Microsoft.Extensions.Options;

namespace Cluster.Worker.Tests.Agent;

public sealed class AgentOptionsTests
{
    [Fact]
    public void Defaults_WithATokenFile_AreValid() => Faults(_ => { }).ShouldBeEmpty();

    [Fact]
    public void Faults_NameSettingValueAndRemedy()
    {
        Faults(options => options.NodeTokenFile = "/nonexistent/token").ShouldBe(
            ["Agent:NodeTokenFile is '/nonexistent/token', which does not exist; give the file with the scheduler's node token"]);
        Faults(options => options.ListenAddress = "everywhere").ShouldBe(
            ["Agent:ListenAddress is 'everywhere'; give ip:port, such as 127.0.0.1:0"]);
        Faults(options => options.ListenAddress = "0.0.0.0:7071").ShouldBe(
            ["Agent:ListenAddress is the wildcard 0.0.0.0; set Agent:AdvertiseHost to the address that others reach this node by"]);
        Faults(options => (options.ListenAddress, options.AdvertiseHost) = ("0.0.0.0:7071", "10.0.0.7")).ShouldBeEmpty();
        Faults(options => options.AdvertiseHost = "10.0.0.7:80").ShouldBe(
            ["Agent:AdvertiseHost is '10.0.0.7:80'; give a host name or an IP address, without a port"]);
        foreach (var any in (string[])["0.0.0.0", "::", "::ffff:0.0.0.0"])
        {
            Faults(options => (options.ListenAddress, options.AdvertiseHost) = ("10.0.0.7:7071", any)).ShouldBe(
                [$"Agent:AdvertiseHost is the wildcard {any}, at which nobody is reached; give the address that others see"]);
        }

        foreach (var ports in (string[])["20000", "20015-20000", "0-10", "1-65536", "a-b", "1-2-3"])
        {
            Faults(options => options.TrainerPorts = ports).ShouldBe(
                [$"Agent:TrainerPorts is '{ports}'; give the first and the last port, such as 20000-20015"]);
        }

        Faults(options => options.TrainerPorts = "20000-20015").ShouldBeEmpty();
        Faults(options => options.SchedulerAddress = "ftp://scheduler").ShouldBe(
            ["Agent:SchedulerAddress is 'ftp://scheduler'; give an address such as http://127.0.0.1:7070, or several with commas between"]);
        Faults(options => options.PinnedCores = "one")
            .ShouldBe(["Agent:PinnedCores is 'one'; give core numbers and ranges, such as 0-3,8"]);
        Faults(options => (options.PinnedCores, options.CpuSlots, options.CoresPerSlot) = ($"{Libc.ThreadCores()[0]}", 2, 1)).ShouldBe(
            ["Agent:PinnedCores has 1 cores and 2 slots of 1 need 2; add cores or lower Agent:CpuSlots"]);
        Faults(options => options.PinnedCores = "1000")
            .ShouldContain(fault => fault.Contains("may not use core 1000", StringComparison.Ordinal));
    }

    [Fact]
    public void Host_WithASettingOutOfRange_IsNotBuilt() => Should.Throw<OptionsValidationException>(() => AgentHost.Build(
        [$"--Agent:NodeTokenFile={typeof(AgentOptionsTests).Assembly.Location}", "--Agent:StateFolder=/tmp/unused",
            "--Agent:CoresPerSlot=0"]))
        .Message.ShouldContain("CoresPerSlot");

    private static IEnumerable<string> Faults(Action<AgentOptions> change)
    {
        var options = new AgentOptions { NodeTokenFile = typeof(AgentOptionsTests).Assembly.Location, StateFolder = "/tmp/unused" };
        change(options);
        return new AgentOptionsValidator().Validate(null, options).Failures ?? [];
    }
}
