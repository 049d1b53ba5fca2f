using System.ComponentModel.DataAnnotations;

namespace Cluster.Worker.Training;

/// <summary>
/// What an operator may set for all trainers of a node, in the agent's environment, which trainers inherit:
/// <c>Collectives__OperationTimeout=00:02:00</c>. Nodes of one job must agree.
/// </summary>
internal static class TrainerSettings
{
    /// <summary>The section's settings over its defaults.</summary>
    /// <exception cref="JobMisconfiguredException">A value is not of its type or out of range; another attempt would find the
    /// same.</exception>
    public static T Read<T>(IConfiguration configuration, string section)
        where T : class, new()
    {
        var options = new T();
        try
        {
            configuration.GetSection(section).Bind(options);
        }
        catch (InvalidOperationException e)
        {
            throw new JobMisconfiguredException($"the worker's settings {section}: {e.Message}");
        }

        var faults = new List<ValidationResult>();
        if (!Validator.TryValidateObject(options, new ValidationContext(options), faults, validateAllProperties: true))
            throw new JobMisconfiguredException(
                $"the worker's settings {section}: {string.Join(" ", faults.Select(fault => fault.ErrorMessage))}");
        return options;
    }
}
