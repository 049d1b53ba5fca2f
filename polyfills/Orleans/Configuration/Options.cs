namespace Orleans.Configuration;

/// <summary>Names of the cluster; section <c>Orleans</c>.</summary>
public class ClusterOptions
{
    public const string DefaultClusterId = "default";
    public const string DefaultServiceId = "default";

    public string ClusterId { get; set; } = DefaultClusterId;

    public string ServiceId { get; set; } = DefaultServiceId;
}

/// <summary>How idle activations are collected.</summary>
public class GrainCollectionOptions
{
    public static readonly TimeSpan DEFAULT_COLLECTION_QUANTUM = TimeSpan.FromMinutes(1);
    public static readonly TimeSpan DEFAULT_ACTIVATION_TIMEOUT = TimeSpan.FromSeconds(30);
    public static readonly TimeSpan DEFAULT_DEACTIVATION_TIMEOUT = TimeSpan.FromSeconds(30);

    /// <summary>How often idle activations are looked for; less than every collection age.</summary>
    public TimeSpan CollectionQuantum { get; set; } = DEFAULT_COLLECTION_QUANTUM;

    /// <summary>How long an activation may be idle.</summary>
    public TimeSpan CollectionAge { get; set; } = TimeSpan.FromMinutes(15);

    /// <summary>How long a constructor and <see cref="Grain.OnActivateAsync"/> may take before the token is cancelled and the activation failed.</summary>
    public TimeSpan ActivationTimeout { get; set; } = DEFAULT_ACTIVATION_TIMEOUT;

    /// <summary>How long <see cref="Grain.OnDeactivateAsync"/> may take before the token is cancelled and the activation dropped.</summary>
    public TimeSpan DeactivationTimeout { get; set; } = DEFAULT_DEACTIVATION_TIMEOUT;
}

/// <summary>Requests and their answers.</summary>
public abstract class MessagingOptions
{
    /// <summary>How long a caller waits for an answer before it gets a <see cref="TimeoutException"/>.</summary>
    public TimeSpan ResponseTimeout { get; set; } = TimeSpan.FromSeconds(30);
}

/// <summary>Requests between grains; section <c>Orleans:Messaging</c>.</summary>
public class SiloMessagingOptions : MessagingOptions;
