namespace Orleans;

/// <summary>Why an activation ends.</summary>
/// <param name="code">The kind of reason.</param>
/// <param name="exception">What failed, for <see cref="DeactivationReasonCode.ActivationFailed"/>.</param>
/// <param name="text">The reason in words, for logs.</param>
public readonly struct DeactivationReason(DeactivationReasonCode code, Exception? exception, string text)
{
    /// <summary>A reason without an exception.</summary>
    public DeactivationReason(DeactivationReasonCode code, string text)
        : this(code, null, text)
    {
    }

    public string Description { get; } = text;

    public DeactivationReasonCode ReasonCode { get; } = code;

    public Exception? Exception { get; } = exception;

    public override string ToString() =>
        Exception is null ? $"{ReasonCode}: {Description}" : $"{ReasonCode}: {Description}. Exception: {Exception}";
}

/// <summary>Kinds of <see cref="DeactivationReason"/>. In one process only some occur; the rest keep an exhaustive switch source-compatible.</summary>
[GenerateSerializer]
public enum DeactivationReasonCode : byte
{
    None,
    ShuttingDown,
    ActivationFailed,
    DirectoryFailure,
    ActivationIdle,
    ActivationUnresponsive,
    DuplicateActivation,
    IncompatibleRequest,
    ApplicationError,
    ApplicationRequested,
    Migrating,
    RuntimeRequested,
    HighMemoryPressure,
}
