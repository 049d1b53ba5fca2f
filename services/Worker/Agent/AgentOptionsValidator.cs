using System.Net;
using Cluster.Contracts.Access;
using Cluster.Worker.Devices;
using Microsoft.Extensions.Options;

namespace Cluster.Worker.Agent;

/// <summary>What ranges cannot say about <see cref="AgentOptions"/>. Each message names the setting, its value and the remedy.</summary>
internal sealed class AgentOptionsValidator : IValidateOptions<AgentOptions>
{
    public ValidateOptionsResult Validate(string? name, AgentOptions options)
    {
        var faults = Faults(options).ToList();
        return faults.Count == 0 ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(faults);
    }

    private static IEnumerable<string> Faults(AgentOptions options)
    {
        if (!SchedulerAddresses.TryParse(options.SchedulerAddress, out _))
            yield return $"Agent:SchedulerAddress is '{options.SchedulerAddress}'; give an address such as http://127.0.0.1:7070, "
                + "or several with commas between";
        var isEnrolled = File.Exists(NodeToken.FileIn(options.StateFolder));
        if (options.NodeTokenFile.Length == 0 && options.EnrollmentCodeFile.Length == 0 && !isEnrolled)
            yield return "Agent:NodeTokenFile and Agent:EnrollmentCodeFile are empty, and Agent:StateFolder holds no token; "
                + "give the file with a code of ./cluster node enroll, or the one with the token that the nodes share";
        if (options.EnrollmentCodeFile.Length > 0 && !isEnrolled && !File.Exists(options.EnrollmentCodeFile))
            yield return $"Agent:EnrollmentCodeFile is '{options.EnrollmentCodeFile}', which does not exist; "
                + "give the file with a code of ./cluster node enroll";
        if (options.NodeTokenFile.Length > 0 && !File.Exists(options.NodeTokenFile))
            yield return $"Agent:NodeTokenFile is '{options.NodeTokenFile}', which does not exist; "
                + "give the file with the scheduler's node token";
        if (!IPEndPoint.TryParse(options.ListenAddress, out var listen))
            yield return $"Agent:ListenAddress is '{options.ListenAddress}'; give ip:port, such as 127.0.0.1:0";
        else if (options.AdvertiseHost.Length == 0 && listen.Address.IsWildcard())
            yield return $"Agent:ListenAddress is the wildcard {listen.Address}; "
                + "set Agent:AdvertiseHost to the address that others reach this node by";
        if (options.AdvertiseHost.Length > 0 && Uri.CheckHostName(options.AdvertiseHost) == UriHostNameType.Unknown)
            yield return $"Agent:AdvertiseHost is '{options.AdvertiseHost}'; give a host name or an IP address, without a port";
        if (IPAddress.TryParse(options.AdvertiseHost, out var told) && told.IsWildcard())
        {
            yield return $"Agent:AdvertiseHost is the wildcard {options.AdvertiseHost}, at which nobody is reached; "
                + "give the address that others see";
        }

        if (options.TrainerPorts.Length > 0 && !AgentOptions.TryParsePorts(options.TrainerPorts, out _))
            yield return $"Agent:TrainerPorts is '{options.TrainerPorts}'; give the first and the last port, such as 20000-20015";
        foreach (var fault in PinningFaults(options))
            yield return fault;
    }

    private static IEnumerable<string> PinningFaults(AgentOptions options)
    {
        if (options.PinnedCores.Length == 0)
            yield break;
        if (!CoreList.TryParse(options.PinnedCores, out var cores))
        {
            yield return $"Agent:PinnedCores is '{options.PinnedCores}'; give core numbers and ranges, such as 0-3,8";
            yield break;
        }

        var missing = cores.Except(Libc.ThreadCores()).ToList();
        if (missing.Count > 0)
            yield return $"Agent:PinnedCores is '{options.PinnedCores}', but this process may not use core {missing[0]}; "
                + $"it has {CoreList.Text(Libc.ThreadCores())}";
        var needed = (options.CpuSlots ?? 0) * options.CoresPerSlot;
        if (options.CpuSlots is null)
            yield return $"Agent:PinnedCores is '{options.PinnedCores}' and Agent:CpuSlots is unset; say how many slots share these cores";
        else if (needed > cores.Count)
            yield return $"Agent:PinnedCores has {cores.Count} cores and {options.CpuSlots} slots of {options.CoresPerSlot} need {needed}; "
                + "add cores or lower Agent:CpuSlots";
    }
}
