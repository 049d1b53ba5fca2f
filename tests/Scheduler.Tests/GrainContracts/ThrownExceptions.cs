using System.Reflection;
using System.Reflection.Emit;
using System.Runtime.CompilerServices;

namespace Cluster.Scheduler.Tests.GrainContracts;

/// <summary>
/// Finds in the compiled code which of an assembly's own exceptions the grains can throw: every <c>new</c> of one in a grain's methods, and
/// in whatever of the assembly they call. Catching is not followed, so it finds rather too many.
/// </summary>
internal static class ThrownExceptions
{
    private const BindingFlags Everything = BindingFlags.Instance | BindingFlags.Static | BindingFlags.Public | BindingFlags.NonPublic
        | BindingFlags.DeclaredOnly;

    private static readonly Dictionary<short, OpCode> OpCodesByValue = typeof(OpCodes).GetFields()
        .Select(field => (OpCode)field.GetValue(null)!)
        .ToDictionary(code => code.Value);

    public static IReadOnlyDictionary<Type, string> Of(Assembly assembly, Type grainRoot)
    {
        var grainClasses = assembly.GetTypes().Where(type => type.IsClass && grainRoot.IsAssignableFrom(type));
        var thrown = new Dictionary<Type, string>();
        var known = new HashSet<MethodBase>();
        var pending = new Queue<MethodBase>(grainClasses.SelectMany(type => type.GetMethods(Everything)));
        while (pending.TryDequeue(out var method))
        {
            if (!known.Add(method))
                continue;
            foreach (var called in Callees(method).SelectMany(callee => WithImplementations(assembly, grainRoot, callee))
                .Where(callee => callee.Module.Assembly == assembly))
            {
                if (called is ConstructorInfo && typeof(Exception).IsAssignableFrom(called.DeclaringType))
                    thrown.TryAdd(called.DeclaringType!, $"{method.DeclaringType!.FullName}.{method.Name}");
                pending.Enqueue(called);
            }
        }

        return thrown;
    }

    private static IEnumerable<MethodBase> WithImplementations(Assembly assembly, Type grainRoot, MethodBase method)
    {
        yield return method;
        if (method is not MethodInfo { DeclaringType: { IsInterface: true } declaring } || declaring.Assembly != assembly
            || grainRoot.IsAssignableFrom(declaring))
            yield break;
        foreach (var type in assembly.GetTypes().Where(type => type is { IsInterface: false } && declaring.IsAssignableFrom(type)))
        {
            var map = type.GetInterfaceMap(declaring);
            yield return map.TargetMethods[Array.IndexOf(map.InterfaceMethods, method)];
        }
    }

    private static IEnumerable<MethodBase> Callees(MethodBase method)
    {
        // The code of an async method or iterator is in its state machine.
        if (method.GetCustomAttribute<StateMachineAttribute>()?.StateMachineType is { } machine)
            return machine.GetMethods(Everything).SelectMany(Tokens);
        return Tokens(method);
    }

    private static IEnumerable<MethodBase> Tokens(MethodBase method)
    {
        if (method.GetMethodBody()?.GetILAsByteArray() is not { } il)
            yield break;
        for (var at = 0; at < il.Length;)
        {
            var code = il[at] == 0xFE ? OpCodesByValue[unchecked((short)((il[at] << 8) | il[at + 1]))] : OpCodesByValue[il[at]];
            at += code.Size;
            if (code.OperandType is OperandType.InlineMethod)
                yield return Resolve(method, BitConverter.ToInt32(il, at));
            at += code.OperandType switch
            {
                OperandType.InlineNone => 0,
                OperandType.ShortInlineBrTarget or OperandType.ShortInlineI or OperandType.ShortInlineVar => 1,
                OperandType.InlineVar => 2,
                OperandType.InlineI8 or OperandType.InlineR => 8,
                OperandType.InlineSwitch => 4 + (4 * BitConverter.ToInt32(il, at)),
                _ => 4,
            };
        }
    }

    private static MethodBase Resolve(MethodBase method, int token)
    {
        var typeArguments = method.DeclaringType is { IsGenericType: true } type ? type.GetGenericArguments() : null;
        var methodArguments = method.IsGenericMethod ? method.GetGenericArguments() : null;
        var resolved = method.Module.ResolveMethod(token, typeArguments, methodArguments)!;
        return resolved is MethodInfo { IsGenericMethod: true } generic ? generic.GetGenericMethodDefinition() : resolved;
    }
}
